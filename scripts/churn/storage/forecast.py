"""Whether the disk will be full soon, at the rate of the newest drop."""

import shutil
from itertools import pairwise
from pathlib import Path

from churn.base.command import UserError
from churn.base.drops import read_drops
from churn.deliveries.folders import MADE, RAW

MONTH = 30


def warn_of_full_disk(root: Path) -> list[str]:
    """Return a warning if the disk will be full within a month, else nothing.

    DVC keeps a copy of each file in its cache, unless its files are links into it (`cache.type`).
    """
    try:
        drops = read_drops(root / "data/drops.yaml")
    except UserError:
        return []
    days = [(new - old).days for old, new in pairwise(drops[-5:])]
    if not days:
        return []
    folders = (root / name / str(drops[-1]) for name in (RAW, *MADE))
    files = [path.stat() for folder in folders for path in folder.rglob("*") if path.is_file()]
    grows = sum(file.st_size * (2 if file.st_nlink == 1 else 1) for file in files) * len(days) / sum(days)
    free = shutil.disk_usage(root).free
    if free > MONTH * grows:
        return []
    return [
        f"WARNING: the disk will be full in {int(free / grows)} days at this rate ({grows * 7 / 1e9:.1f} GB a week, "
        f"{free / 1e9:.1f} GB free). Drop what only older weeks need: make prune KEEP=26"
    ]
