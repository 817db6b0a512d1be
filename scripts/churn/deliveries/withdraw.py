"""Withdraw a drop: its line, its data and everything made from it."""

import shutil
from datetime import date
from pathlib import Path

from churn.base.command import UserError
from churn.base.drops import read_list, write_list
from churn.base.files import write_whole
from churn.deliveries.folders import MADE, STAGES, folder_md5, held_md5s, pointer_of, tracked_md5
from churn.deliveries.run_lock import no_run

SCORES = "reports/release/score_users"


def withdraw_drop(drop: date, root: Path) -> None:
    """Remove a drop from the list, with its data and everything made from it.

    Parameters
    ----------
    drop : date
        The drop.
    root : Path
        The project's folder.

    Raises
    ------
    UserError
        When the drop is not listed, was edited since DVC last saw it, or Snakemake is running.
    """
    listing, raw = root / "data/drops.yaml", root / "data/raw" / str(drop)
    source, listed = read_list(listing)
    if drop not in listed and not pointer_of(raw).exists():
        raise UserError(f"{listing} does not list {drop}. It lists: {', '.join(map(str, listed)) or 'no drop'}.")
    if (held := held_md5s(raw)) and folder_md5(held) != tracked_md5(raw):
        raise UserError(f"{raw} was edited, and DVC has not seen it: nobody could get it back. Move it away first.")
    with no_run(root):
        # The list comes first: from then on the drop counts no more, and the command can be run again after a kill.
        left = [day for day in listed if day != drop]
        write_list(listing, source if left else "none", left)
        ignore(root / ".dvcignore", [f"/{folder}/{drop}" for folder in MADE])
        for path in [*(root / folder / str(drop) for folder in (*MADE, "data/scores")), raw]:
            shutil.rmtree(path, ignore_errors=True)
        receipts = [root / name / f"{drop}.json" for name in (*(f"metrics/{stage}" for stage in STAGES), SCORES)]
        for path in [*receipts, pointer_of(raw)]:
            path.unlink(missing_ok=True)


def ignore(path: Path, folders: list[str]) -> None:
    """Add folders to .dvcignore: a clone may still have them, and they must not count in the folder above."""
    lines = path.read_text().splitlines() if path.exists() else []
    with write_whole(path, durable=True) as new:
        new.write_text("\n".join([*lines, *(folder for folder in folders if folder not in lines)]) + "\n")
