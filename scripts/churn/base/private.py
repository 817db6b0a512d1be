"""Close what holds rows, models or the registry to the other users of this machine.

Each command, and the Snakefile, sets the umask of all that it starts. Other programs, such as DVC started by hand,
write with the user's own: below a folder that is closed, nobody else reaches what they write.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

VARIABLE, DEFAULT = "CHURN_UMASK", "077"
OTHERS = 0o007
# In the repository's folder. Not inbox/, which its senders must reach, nor metrics/, which is in git and has no rows.
FOLDERS = (
    *("data", "models", "plots", "reports", "drift-reports", "logs", "mlartifacts", "mlruns", "dvc_plots"),
    *(".dvc/cache", ".dvc/tmp", ".snakemake", ".duckdb", ".stack", "inbox/.done"),
)
FILES = ("mlflow.db", ".env", ".dvc/config.local")
# Where DVC keeps its records of this repository, which contain pickles: by default in a folder that all users write to.
SITE_CACHE = Path(".dvc/tmp/site")


def read_umask() -> int:
    """Return the umask of CHURN_UMASK, by default 077.

    Raises
    ------
    ValueError
        When CHURN_UMASK is not such a number.
    """
    text = os.environ.get(VARIABLE) or DEFAULT
    if not (text.isdecimal() and set(text) <= set("01234567") and len(text) <= 4 and int(text, 8) & OTHERS == OTHERS):
        raise ValueError(
            f"{VARIABLE} is {text!r}. Set it to 077 (only you), 027 (your group reads) or 007 (your group writes, too)."
        )
    return int(text, 8) & 0o077


def close_to_others() -> None:
    """Set the umask, take from the private folders of the working directory the rights that it takes, and have DVC keep
    its records in one of them.

    CHURN_UMASK=027 or 007 leaves them to the group; all others never have any.

    Raises
    ------
    ValueError
        When CHURN_UMASK is not such a number.
    """
    mask = read_umask()
    os.umask(mask)
    # Elsewhere, a folder named `data` is not ours.
    if not Path(".dvc").is_dir():
        return
    os.environ.setdefault("DVC_SITE_CACHE_DIR", str(SITE_CACHE.absolute()))
    for path in map(Path, (*FOLDERS, *FILES)):
        # A folder of another user is for that user to close; a link leads to a place that is not ours.
        with suppress(OSError):
            mode = path.lstat().st_mode
            if stat.S_IMODE(mode) & mask and not stat.S_ISLNK(mode):
                path.chmod(stat.S_IMODE(mode) & ~mask)
