"""Find the secret of a Spark cluster, which the driver must know to be let in."""

import os
import re
import shutil
from pathlib import Path

from churn.base.command import UserError

VARIABLE = "SPARK_PROPERTIES_FILE"
# Of about 100 kB each, for the stack's own log; nobody else would remove them.
MAX_EVENT_LOGS = 200


def find_login(master: str) -> Path | None:
    """Return the file of properties for this master: SPARK_PROPERTIES_FILE, unless it names another master.

    Raises
    ------
    UserError
        When the file cannot be read.
    """
    if not (named := os.environ.get(VARIABLE)):
        return None
    path = Path(named).absolute()
    try:
        text = path.read_text()
    except OSError as error:
        raise UserError(
            f"{VARIABLE} is {named!r}: {error.strerror}. It has the secret of the Spark cluster at {master}. Run "
            f"make up, which writes it, or correct {VARIABLE} in .env."
        ) from None
    found = re.search(r"^\s*spark\.master[\s=:]+(\S+)", text, re.MULTILINE)
    return path if found is None or found[1] == master else None


def bound_events(login: Path, events: Path) -> None:
    """Remove the oldest event logs of the stack, but for the newest; a user's own folder is left alone."""
    if events.absolute().parent != login.parent:
        return
    logs = sorted(events.iterdir(), key=lambda path: path.lstat().st_mtime) if events.is_dir() else []
    for path in logs[:-MAX_EVENT_LOGS]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
