"""The inbox: the folder in which deliveries arrive, each in a folder of its own.

<inbox>/<delivery>/             on its way in
<inbox>/.done/<delivery>/       ingested; data/raw and DVC have it, so this copy may be deleted
<inbox>/rejected/<delivery>/    broken; reason.txt in it says why
"""

import os
from datetime import datetime
from pathlib import Path

DEFAULT = Path("inbox")
READY, DONE, REJECTED, REASON = "_READY", ".done", "rejected", "reason.txt"


def inbox_folder() -> Path:
    """Return CHURN_INBOX, by default a folder in the repository."""
    return Path(os.environ.get("CHURN_INBOX") or DEFAULT)


def read_rejected(inbox: Path) -> dict[str, str]:
    """Return each delivery that was moved aside and is there still, with the time, and the first line of the reason."""
    reasons = sorted((inbox / REJECTED).glob(f"*/{REASON}"))
    return {f"{path.parent.name} ({time_of(path)})": path.read_text().partition("\n")[0] for path in reasons}


def time_of(path: Path) -> str:
    """Return when a file was written."""
    return datetime.fromtimestamp(path.stat().st_mtime).isoformat(" ", "seconds")
