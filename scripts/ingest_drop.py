"""Take a delivery of five CSVs in: check it, copy it to data/raw/<drop>/, have DVC track it, list it.

Reads
    SOURCE/PAYMENTS.csv, ACTIVE_USER.csv, DEMOGRAFICOS.csv, DINERO_CUENTA.csv, MARKETPLACE_DATA.csv (columns:
    churn.contract)
Writes
    data/raw/<drop>/ with the five files, its DVC pointer data/raw/<drop>.dvc, and the drop's line in data/drops.yaml

The list comes last: whatever stops the command, running it again goes on from there.
"""

import argparse
import shutil
from datetime import date
from pathlib import Path

from churn.command import UserError, parse_drop, run_command
from churn.contract import FILES, check_header
from churn.delivery_date import check_drop_date, choose_drop_date, count_payment_days
from churn.drop_folders import (
    file_md5s,
    folder_md5,
    held_md5s,
    pointer_of,
    remove_leftovers,
    track_folders,
    tracked_md5,
)
from churn.drops import read_list, write_list
from churn.files import write_whole


def ingest_drop(source: Path, raw: Path, listing: Path, drop: date | None, replace: bool, today: date) -> date:
    """Take a delivery in and return its drop's date.

    Parameters
    ----------
    source : Path
        Folder of the five CSVs; other files in it are left where they are.
    raw, listing : Path
        data/raw and data/drops.yaml.
    drop : date or None
        The drop's date; None takes the newest believable day of the payments.
    replace : bool
        Put these files in the place of a drop that is there with other content.
    today : date
        No payment can be later.

    Raises
    ------
    UserError
        When a file does not fit, the date does not, the drop is there with other content, the list names the demo's
        drops, or DVC fails.
    """
    listed_source, listed = read_list(listing)
    if listed_source == "demo":
        raise UserError(
            f"{listing} lists the demo's drops, and your own are not mixed with them. Take them out first: "
            "make clear-demo"
        )
    check_files(source)
    days = count_payment_days(source / "PAYMENTS.csv")
    newest = choose_drop_date(source / "PAYMENTS.csv", days, today)
    drop = drop or newest
    check_drop_date(source / "PAYMENTS.csv", drop, newest, days)
    if put_drop(source, raw / str(drop), replace) or drop not in listed:
        write_list(listing, "own", [*listed, drop])
        print(f"Drop {drop} is in {raw / str(drop)}.\nNext: make run (or snakemake --cores 2, or dvc repro), then")
        print(f"      git add {pointer_of(raw / str(drop))} {listing} dvc.lock metrics && git commit && dvc push")
    else:
        print(f"Drop {drop} was ingested before, with the same content: nothing to do.")
    return drop


def check_files(source: Path) -> None:
    """Make sure that the folder holds the five files, each with its columns and a row; tell of other files."""
    if not source.is_dir():
        what = "is not a folder" if source.exists() else "does not exist"
        raise UserError(f"{source} {what}. SOURCE is the folder that holds {', '.join(FILES)}.")
    for name in FILES:
        check_header(source / name, name)
        with (source / name).open("rb") as file:
            file.readline()
            if not any(line.strip() for line in file):
                raise UserError(f"{source / name} holds a header and no row. Deliver the file again, with its rows.")
    if others := sorted(path.name for path in source.iterdir() if path.name not in FILES):
        print(f"Ignored in {source}: {', '.join(others)}")


def put_drop(source: Path, folder: Path, replace: bool) -> bool:
    """Copy the five files into the drop's folder and have DVC track it; tell whether there was anything to do."""
    given, held, tracked = file_md5s(source, FILES), held_md5s(folder), tracked_md5(folder)
    if not replace:
        _refuse_other_content(folder, given, held, tracked)
    if held == given and tracked == folder_md5(given):
        return False
    if held != given:
        remove_leftovers(folder)
        with write_whole(folder) as new:
            new.mkdir()
            for name in FILES:
                shutil.copyfile(source / name, new / name)
    track_folders([folder])
    return True


def _refuse_other_content(folder: Path, given: dict[str, str], held: dict[str, str], tracked: str | None) -> None:
    correct = (
        f"To correct a drop, edit its CSVs in {folder} and run the pipeline again, or ingest the corrected delivery "
        "with --replace; DVC keeps both versions."
    )
    if held and held != given:
        names = ", ".join(name for name in sorted(held | given) if held.get(name) != given.get(name))
        raise UserError(f"{folder} is there already, with other content ({names}). {correct}")
    if not held and tracked not in (None, folder_md5(given)):
        raise UserError(f"DVC tracks {folder} with other content, which is not here (dvc pull gets it). {correct}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder of the five CSVs")
    parser.add_argument("--drop", type=parse_drop, help="the drop's date, YYYY-MM-DD (newest FECHA in PAYMENTS.csv)")
    parser.add_argument("--raw", type=Path, default=Path("data/raw"), help="folder of the drops (data/raw)")
    parser.add_argument("--list", type=Path, default=Path("data/drops.yaml"), help="list of drops (data/drops.yaml)")
    parser.add_argument("--replace", action="store_true", help="replace a drop that is there with other content")
    args = parser.parse_args()
    ingest_drop(args.source, args.raw, args.list, args.drop, args.replace, date.today())


if __name__ == "__main__":
    run_command(main)
