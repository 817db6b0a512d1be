"""Ingest a delivery of five CSVs: check it, copy it to data/raw/<drop>/, have DVC track it, list it."""

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from churn.base.command import UserError
from churn.base.drops import read_list, update_list, write_list
from churn.base.files import remove_scratch, write_whole
from churn.data.contract import FILES, check_header
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
from churn.deliveries.inbox_layout import READY, REASON
from churn.deliveries.run_lock import no_run


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
        Folder with the five CSVs; other files in it are ignored.
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
        When a file is wrong, changes in the meantime or cannot be unpacked, the date is wrong, the drop exists with
        different content, the list has the demo's drops, DVC fails, or Snakemake is running.
    """
    with no_run(listing.parent.parent):
        read_own_list(listing)
        placed = place_drop(source, raw, drop, replace, today)
        register_drops([placed], raw, listing)
    return placed.drop


def place_drop(source: Path, raw: Path, drop: date | None, replace: bool, today: date) -> Placed:
    """Check a delivery and copy its files to their place."""
    with unpacked(source) as delivery:
        check_files(delivery)
        days = count_payment_days(delivery / "PAYMENTS.csv")
        newest = choose_drop_date(delivery / "PAYMENTS.csv", days, today)
        drop = drop or newest
        check_drop_date(delivery / "PAYMENTS.csv", drop, newest, days)
        return Placed(drop, put_drop(delivery, raw / str(drop), replace))


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


@contextmanager
def unpacked(source: Path) -> Iterator[Path]:
    """Yield a folder with five CSVs: the source, or a temporary folder of the same name if some are packed."""
    packed = [name for name in FILES if (source / f"{name}.gz").is_file()]
    if twice := [name for name in packed if (source / name).exists()]:
        raise UserError(f"{source} has both {twice[0]} and {twice[0]}.gz. Remove one of them.")
    if not packed:
        yield source
        return
    with tempfile.TemporaryDirectory() as folder:
        delivery = Path(folder, source.name)
        delivery.mkdir()
        for name in FILES:
            if name not in packed:
                (delivery / name).symlink_to((source / name).absolute())
                continue
            try:
                with gzip.open(source / f"{name}.gz") as read, (delivery / name).open("wb") as write:
                    shutil.copyfileobj(read, write)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise UserError(
                    f"{source / name}.gz cannot be unpacked ({error}). Deliver the complete file again."
                ) from None
        yield delivery


def check_files(source: Path) -> None:
    """Raise `UserError` unless the folder has the five files, each with its columns and rows; print other files."""
    if not source.is_dir():
        what = "is not a folder" if source.exists() else "does not exist"
        raise UserError(f"{source} {what}. SOURCE must be the folder with {', '.join(FILES)}.")
    for name in FILES:
        check_header(source / name, name)
        with (source / name).open("rb") as file:
            file.readline()
            if not any(line.strip() for line in file):
                raise UserError(f"{source / name} has a header but no rows. Deliver the file again, with its rows.")
    if others := sorted(path.name for path in source.iterdir() if path.name not in (*FILES, READY, REASON)):
        print(f"Ignored in {source}: {', '.join(others)}")


def put_drop(source: Path, folder: Path, replace: bool) -> bool:
    """Copy the five files into the drop's folder; return whether DVC has yet to track them."""
    # A killed process may have left one after its last step.
    remove_scratch(folder)
    given, held, tracked = file_md5s(source, FILES), held_md5s(folder), tracked_md5(folder)
    if not replace:
        _refuse_other_content(folder, given, held, tracked)
    if held == given and tracked == folder_md5(given):
        return False
    if held != given:
        if held and tracked != folder_md5(held):
            keep_edits(folder)
        with write_whole(folder) as new:
            new.mkdir()
            for name in FILES:
                shutil.copyfile(source / name, new / name)
            if changed := [name for name, md5 in file_md5s(new, FILES).items() if md5 != given[name]]:
                raise UserError(
                    f"{source / changed[0]} changed while it was copied. Wait until the delivery is complete, then "
                    "ingest it again."
                )
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
