"""Ingest a delivery of five CSVs: check it, copy it to data/raw/<drop>/, have DVC track it, list it."""

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from churn.base.command import UserError
from churn.base.drops import read_list, update_list, write_list
from churn.base.files import remove_scratch, scratch_folder, sync, write_whole
from churn.data.contract import FILES
from churn.deliveries.before import Before, find_before, report_repeated
from churn.deliveries.check import Delivery, read_delivery
from churn.deliveries.doubts import find_cuts, find_doubts, warn_of_unknown
from churn.deliveries.folders import (
    file_md5s,
    folder_md5,
    free_path,
    held_md5s,
    pointer_of,
    track_folders,
    tracked_md5,
    tracked_md5s,
)
from churn.deliveries.receive import Received, receive_delivery
from churn.deliveries.rules import Rules
from churn.deliveries.run_lock import no_run

# The folders in data/raw beside which deliveries are copied and their tables written; they never exist.
COPIES, TABLES = "deliveries", "tables"


@dataclass(frozen=True)
class Placed:
    """A delivery whose files are in data/raw/<drop>/: the drop, and whether DVC has yet to track them."""

    drop: date
    is_new: bool


def ingest_drop(
    source: Path, raw: Path, listing: Path, drop: date | None, replace: bool, today: date, rules: Rules
) -> date:
    """Ingest a delivery and return its drop's date.

    Parameters
    ----------
    source : Path
        Folder with the five CSVs, or links to them; other files in it are ignored.
    raw, listing : Path
        data/raw and data/drops.yaml.
    drop : date or None
        The drop's date; None for the newest plausible day of the payments.
    replace : bool
        Replace a drop that exists with different content.
    today : date
        The current date; no payment can be later than tomorrow.
    rules : Rules
        How to read and judge the delivery.

    Raises
    ------
    UserError
        When a file is wrong, changes in the meantime, cannot be read or unpacked, too many rows are bad, the date is
        wrong, the delivery is doubtful, the drop exists with different content, the list has the demo's drops, DVC
        fails, or Snakemake is running.
    """
    if not source.is_dir():
        what = "is not a folder" if source.exists() else "does not exist"
        raise UserError(f"{source} {what}. SOURCE must be the folder with {', '.join(FILES)}.")
    with no_run(listing.parent.parent):
        read_own_list(listing)
        with scratch_folder(raw / COPIES) as scratch:
            # The user's own folder may be made of links; what a sender puts into the inbox may not.
            received = receive_delivery(source, scratch / "delivery", rules.mapping.names, follow_links=True)
            delivery = read_received(received, raw, drop, today, rules)
            placed = place_drop(delivery, received, raw, listing, replace, rules)
        register_drops([placed], raw, listing)
    return placed.drop


def place_drop(delivery: Delivery, received: Received, raw: Path, listing: Path, replace: bool, rules: Rules) -> Placed:
    """Judge a delivery that was read, and move the copies of its files to their place, in the same file system.

    Raises
    ------
    UserError
        When the delivery is doubtful and `rules` refuse that, or the drop exists with different content.
    """
    with received.named_as_delivered():
        weigh(delivery, received.folder, find_before(raw, listing, delivery.drop), rules)
    return Placed(delivery.drop, put_drop(received, raw / str(delivery.drop), replace))


def read_received(received: Received, raw: Path, drop: date | None, today: date, rules: Rules) -> Delivery:
    """Read all rows of a delivery that was received; see `read_delivery`."""
    with received.named_as_delivered(), scratch_folder(raw / TABLES) as tables:
        judge(find_cuts(received.folder, rules.mapping), received.folder, rules)
        return read_delivery(received.folder, drop, today, rules, tables)


def weigh(delivery: Delivery, folder: Path, before: Before | None, rules: Rules) -> None:
    """Print what is unusual in a delivery that was read, and judge what is doubtful."""
    report_repeated(folder, before)
    warn_of_unknown(delivery)
    judge(find_doubts(delivery, before, rules), folder, rules)


def judge(doubts: list[str], folder: Path, rules: Rules) -> None:
    """Raise `UserError` if there are doubts and `rules` refuse them, else print them."""
    if doubts and rules.refuses_doubtful:
        more = "".join(f"\nAlso: {doubt}." for doubt in doubts[1:])
        raise UserError(
            f"{folder}: {doubts[0]}. If the delivery is right nonetheless, set ingest.doubtful_deliveries to warn in "
            f"params.yaml.{more}"
        )
    for doubt in doubts:
        print(f"WARNING: {doubt}.")


def register_drops(placed: list[Placed], raw: Path, listing: Path) -> None:
    """Track drops with DVC, in one call, and list them; print what is new."""
    listed = read_own_list(listing)
    update_list(listing)
    if new := [raw / str(one.drop) for one in placed if one.is_new]:
        track_folders(new)
        for folder in new:
            sync(pointer_of(folder))
    if added := [one.drop for one in placed if one.is_new or one.drop not in listed]:
        write_list(listing, "own", [*listed, *added])
    for one in placed:
        if one.drop not in added:
            print(f"Drop {one.drop} was already ingested with the same content: nothing to do.")
            continue
        pointer = pointer_of(raw / str(one.drop))
        print(f"Drop {one.drop} is now in {raw / str(one.drop)}.")
        print("Next: make run (or snakemake --cores 2, or dvc repro), then")
        print(f"      git add {pointer} {listing} .dvcignore dvc.lock metrics && git commit && dvc push")


def read_own_list(listing: Path) -> list[date]:
    """Return the listed drops; raise `UserError` if they are the demo's."""
    source, listed = read_list(listing)
    if source == "demo":
        raise UserError(
            f"{listing} lists the demo's drops, which cannot be mixed with your own. Remove them first: make clear-demo"
        )
    return listed


def put_drop(received: Received, folder: Path, replace: bool) -> bool:
    """Move the copies of the five files to the drop's folder; return whether DVC has yet to track them."""
    # A killed process may have left one after its last step.
    remove_scratch(folder)
    given, held, tracked = file_md5s(received.folder, FILES), held_md5s(folder), tracked_md5(folder)
    if not replace:
        _refuse_other_content(folder, given, held, tracked)
    if held == given and tracked == folder_md5(given):
        return False
    if held != given:
        if held and tracked != folder_md5(held):
            keep_edits(folder)
        with write_whole(folder, durable=True) as new:
            received.folder.rename(new)
    return True


def keep_edits(folder: Path) -> None:
    """Keep a copy of a drop's folder that is to be replaced, and that is not as DVC tracks it."""
    copy = free_path(folder.with_name(f".edited-{folder.name}"))
    shutil.copytree(folder, copy)
    print(f"{folder} was edited by hand{_edited_files(folder)}, which DVC has not seen; a copy is in {copy}.")


def _edited_files(folder: Path) -> str:
    """Return which files differ from those that DVC has, if it still has their list."""
    known, held = tracked_md5s(folder), held_md5s(folder)
    changed = sorted(name for name in held if held[name] != known.get(name))
    return f" ({', '.join(changed)})" if known else ""


def _refuse_other_content(folder: Path, given: dict[str, str], held: dict[str, str], tracked: str | None) -> None:
    correct = (
        f"To correct a drop, edit its CSVs in {folder} and run the pipeline again, or ingest the corrected delivery "
        "with --replace; DVC keeps both versions."
    )
    if held and held != given:
        names = ", ".join(name for name in sorted(held | given) if held.get(name) != given.get(name))
        raise UserError(f"{folder} already exists with different content ({names}). {correct}")
    if not held and tracked not in (None, folder_md5(given)):
        raise UserError(f"DVC tracks {folder} with different content, which is not here (dvc pull gets it). {correct}")
