"""The inbox: the folder in which deliveries arrive, each in a folder of its own.

<inbox>/<delivery>/             on its way in
<inbox>/.done/<delivery>/       ingested; data/raw and DVC have it, so this copy may be deleted
<inbox>/rejected/<delivery>/    broken; reason.txt in it says why
"""

import os
from pathlib import Path

DONE, REJECTED, REASON = ".done", "rejected", "reason.txt"


def inbox_folder() -> Path:
    """Return CHURN_INBOX, by default a folder in the repository."""
    return Path(os.environ.get("CHURN_INBOX") or "inbox")


def list_rejected(inbox: Path) -> list[str]:
    """Return the names of the deliveries that were moved aside and are there still."""
    return sorted(path.parent.name for path in (inbox / REJECTED).glob(f"*/{REASON}"))


def read_reason(inbox: Path, name: str) -> str:
    """Return the first line of why a delivery was moved aside."""
    return (inbox / REJECTED / name / REASON).read_text().partition("\n")[0]
