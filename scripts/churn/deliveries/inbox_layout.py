"""The inbox: the folder in which deliveries arrive, each in its own folder.

<inbox>/<delivery>/             arriving
<inbox>/.done/<delivery>/       ingested; data/raw and DVC have it, so this copy may be deleted
<inbox>/rejected/<delivery>/    broken; its reason.txt says why
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
    """Return the rejected deliveries that are still there, with their time, and the first line of each reason."""
    reasons = sorted((inbox / REJECTED).glob(f"*/{REASON}"))
    return {f"{path.parent.name} ({time_of(path)})": path.read_text().partition("\n")[0] for path in reasons}


def time_of(path: Path) -> str:
    """Return when a file was written."""
    return datetime.fromtimestamp(path.stat().st_mtime).isoformat(" ", "seconds")
