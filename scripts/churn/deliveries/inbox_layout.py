"""The inbox: the folder in which deliveries arrive, each in its own folder.

<inbox>/<delivery>/             arriving
<inbox>/.done/<delivery>/       ingested; data/raw and DVC have it, so this copy may be deleted
<inbox>/rejected/<delivery>/    broken; its reason.txt says why
<inbox>/rejected/<delivery>.in-inbox/   only a reason.txt: the delivery could not be moved, and is still in the inbox
"""

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from churn.base.command import UserError
from churn.base.printable import printable
from churn.deliveries.regular_files import open_regular

DEFAULT = Path("inbox")
READY, DONE, REJECTED, REASON = "_READY", ".done", "rejected", "reason.txt"
# How the name of a folder ends that has the reason of a delivery that is still in the inbox.
IN_INBOX = ".in-inbox"
MAX_REASON_BYTES = 100_000


def inbox_folder() -> Path:
    """Return CHURN_INBOX, by default a folder in the repository."""
    return Path(os.environ.get("CHURN_INBOX") or DEFAULT)


def read_rejected(inbox: Path) -> dict[str, str]:
    """Return the rejected deliveries that are still there, with their time, and the first line of each reason."""
    rejected = {}
    for folder in sorted((inbox / REJECTED).glob("*/")):
        # A sender may have put links there.
        if folder.is_symlink():
            continue
        with suppress(UserError), open_regular(folder / REASON) as file:
            label = f"{printable(folder.name)} ({time_of(os.fstat(file.fileno()))})"
            rejected[label] = first_line(file.read(MAX_REASON_BYTES).decode(errors="replace"))
    return rejected


def first_line(reason: str) -> str:
    """Return the first line of a reason, which may be in logs and messages; examples of rows are in the others."""
    return "".join(char for char in reason.partition("\n")[0] if char.isprintable()).removesuffix(" For example:")


def time_of(stat: os.stat_result) -> str:
    """Return when a file was written."""
    return datetime.fromtimestamp(stat.st_mtime).isoformat(" ", "seconds")
