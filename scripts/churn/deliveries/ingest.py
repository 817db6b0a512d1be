"""Ingest a delivery of five CSVs: check it, copy it to data/raw/<drop>/, have DVC track it, list it."""

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from churn.base.command import UserError
from churn.base.drops import read_list, update_list, write_list
from churn.base.files import remove_scratch, scratch_folder, write_whole
from churn.data.contract import FILES, MAX_LINE_BYTES, check_header
from churn.deliveries.date import check_drop_date, choose_drop_date, count_payment_days
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
from churn.deliveries.receive import CHUNK_BYTES, Received, receive_delivery
from churn.deliveries.run_lock import no_run

# The folder in data/raw beside which deliveries are copied; it never exists.
COPIES = "deliveries"


@dataclass(frozen=True)
class Placed:
    """A delivery whose files are in data/raw/<drop>/: the drop, and whether DVC has yet to track them."""

    drop: date
    is_new: bool


def ingest_drop(source: Path, raw: Path, listing: Path, drop: date | None, replace: bool, today: date) -> date:
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

    Raises
    ------
    UserError
        When a file is wrong, changes in the meantime, cannot be read or unpacked, the date is wrong, the drop exists
        with different content, the list has the demo's drops, DVC fails, or Snakemake is running.
    """
    if not source.is_dir():
        what = "is not a folder" if source.exists() else "does not exist"
        raise UserError(f"{source} {what}. SOURCE must be the folder with {', '.join(FILES)}.")
    with no_run(listing.parent.parent):
        read_own_list(listing)
        with scratch_folder(raw / COPIES) as scratch:
            # The user's own folder may be made of links; what a sender puts into the inbox may not.
            received = receive_delivery(source, scratch / "delivery", follow_links=True)
            placed = place_drop(received, raw, drop, replace, today)
        register_drops([placed], raw, listing)
    return placed.drop


def place_drop(received: Received, raw: Path, drop: date | None, replace: bool, today: date) -> Placed:
    """Check the copies of a delivery's files and move them to their place, in the same file system."""
    payments = received.folder / "PAYMENTS.csv"
    with received.named_as_delivered():
        check_files(received)
        days = count_payment_days(payments)
        newest = choose_drop_date(payments, days, today)
        drop = drop or newest
        check_drop_date(payments, drop, newest, days)
    return Placed(drop, put_drop(received, raw / str(drop), replace))


def register_drops(placed: list[Placed], raw: Path, listing: Path) -> None:
    """Track drops with DVC, in one call, and list them; print what is new."""
    listed = read_own_list(listing)
    update_list(listing)
    if new := [raw / str(one.drop) for one in placed if one.is_new]:
        track_folders(new)
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


def check_files(received: Received) -> None:
    """Raise `UserError` unless each of the five files has its columns and rows."""
    for name in FILES:
        check_header(received.folder / name, name)
        if not has_rows(received.folder / name):
            raise UserError(
                f"{received.folder / name} has a header but no rows. Deliver the file again, with its rows."
            )


def has_rows(path: Path) -> bool:
    """Return whether a file has a line that is not empty after the first."""
    with path.open("rb") as file:
        file.readline(MAX_LINE_BYTES)
        return any(chunk.strip() for chunk in iter(lambda: file.read(CHUNK_BYTES), b""))


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
        with write_whole(folder) as new:
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
