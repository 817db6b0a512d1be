"""Close the folders of a new clone before DVC writes to them, and have DVC keep its records of this repository inside
it, also when DVC is started by hand; make install runs this.

By default they are in /var/tmp/dvc, which every user of the machine can write to, and they contain pickles, which run
code when they are read. Commands of this project set DVC_SITE_CACHE_DIR (churn.base.private).
"""

from pathlib import Path

from configobj import ConfigObj

from churn.base.command import run_command
from churn.base.private import SITE_CACHE
from churn.stack.private_files import write_private_ini
from churn.stack.remote import LOCAL, read_local

# DVC would make them with the user's own umask.
FOLDERS = (Path(".dvc/cache"), Path(".dvc/tmp"))


def main() -> None:
    """Make DVC's folders, with the umask that `run_command` has set, and write the setting."""
    for folder in FOLDERS:
        folder.mkdir(exist_ok=True)
    write_setting()


def write_setting() -> None:
    """Write core.site_cache_dir into .dvc/config.local, which is not in git; a user's own setting stays."""
    local, wanted = read_local(), str(SITE_CACHE.absolute())
    if not local.has_section("core"):
        local.add_section("core")
    current = local.get("core", "site_cache_dir", fallback="").strip("'\"")
    # Of a folder that was moved or copied, the setting names the old place.
    if current == wanted or (current and not current.endswith(f"/{SITE_CACHE}")):
        return
    # In quotes if it has a sign with a meaning there, such as a comma.
    local.set("core", "site_cache_dir", ConfigObj()._quote(wanted))
    write_private_ini(LOCAL, {name: dict(section) for name, section in local.items() if section})


if __name__ == "__main__":
    run_command(main)
