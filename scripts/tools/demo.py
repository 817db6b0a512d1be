"""Create the demo's drops: weekly deliveries from a simulated world, with faulty rows like those in real files.

Writes
    data/raw/<drop>/ and its DVC pointer, for each drop: PAYMENTS.csv, ACTIVE_USER.csv, DEMOGRAFICOS.csv,
    DINERO_CUENTA.csv, MARKETPLACE_DATA.csv (columns: churn.data.contract)
    data/drops.yaml: the drops, with the source demo
"""

import argparse
import hashlib
import os
from datetime import date, timedelta
from pathlib import Path

from churn.base.command import UserError, run_command
from churn.base.drops import parse_drop, read_list, update_list, write_list
from churn.base.files import write_whole
from churn.deliveries.folders import (
    folder_md5,
    held_md5s,
    pointer_of,
    track_folders,
    tracked_md5,
)
from churn.demo.files import FIRST_DROP, drop_files, payment_lines
from churn.demo.world import day_of, simulate_world


def make_demo_drops(
    raw: Path, listing: Path, users: int, drops: int, seed: int, last_drop: date, if_missing: bool = False
) -> None:
    """Create the missing drops, track them with DVC, and list them.

    Parameters
    ----------
    raw, listing : Path
        data/raw and data/drops.yaml.
    users : int
        Approximate number of users per drop.
    drops, last_drop : int, date
        Number of weekly drops, and the date of the newest, a Sunday.
    seed : int
        A different seed gives a different world.
    if_missing : bool
        Create them only if the list has demo drops that are missing here.

    Raises
    ------
    UserError
        When a drop exists with different content, the list has your own drops, or a date or number is wrong.
    """
    source, listed = read_list(listing)
    if if_missing and not _misses_demo_drops(raw, source, listed):
        return
    if source == "own":
        raise UserError(f"{listing} lists your own drops, which cannot be mixed with the demo's.")
    dates = choose_dates(drops, last_drop)
    world = simulate_world(seed, users, last_drop)
    lines = payment_lines(world.payments)
    wanted = {raw / str(day): drop_files(world, lines, day_of(day)) for day in dates}
    new = {folder: files for folder, files in wanted.items() if _is_new(folder, files)}
    for folder, files in new.items():
        _write_folder(folder, files)
    update_list(listing)
    if untracked := [folder for folder in wanted if folder in new or tracked_md5(folder) is None]:
        track_folders(untracked)
    write_list(listing, "demo", [*listed, *dates])
    rows = sum(files["PAYMENTS.csv"].count(b"\n") - 1 for files in new.values())
    print(f"{len(new)} demo drops created ({rows:,} payments), {len(wanted) - len(new)} already existed.")


def choose_dates(drops: int, last_drop: date) -> list[date]:
    """Return the dates of the weekly drops, oldest first."""
    if last_drop.isoweekday() != 7:
        raise UserError(f"--last-drop {last_drop} is not a Sunday; the demo's drops are delivered on Sundays.")
    dates = [last_drop - timedelta(weeks=back) for back in reversed(range(drops))]
    if not dates or dates[0] < FIRST_DROP:
        most = (last_drop - FIRST_DROP).days // 7 + 1
        raise UserError(
            f"--drops {drops} up to {last_drop}: the demo's first possible drop is {FIRST_DROP}. "
            + (f"Choose 1 to {most}." if most > 0 else "Choose a later --last-drop.")
        )
    return dates


def _misses_demo_drops(raw: Path, source: str, listed: list[date]) -> bool:
    folders = [raw / str(day) for day in listed]
    missing = [folder for folder in folders if not folder.exists()]
    if missing and source == "own":
        raise UserError(f"{', '.join(map(str, missing))}: listed, but missing here. Get your drops: dvc pull")
    return source == "demo" and (bool(missing) or any(tracked_md5(folder) is None for folder in folders))


def _is_new(folder: Path, files: dict[str, bytes]) -> bool:
    """Return whether the drop must be written; raise `UserError` if there is different data."""
    md5s = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    if (held := held_md5s(folder)) and held != md5s:
        raise UserError(
            f"{folder} has different data, which is not overwritten. Remove the demo drops first: make clear-demo"
        )
    if tracked_md5(folder) not in (None, folder_md5(md5s)):
        raise UserError(
            f"{pointer_of(folder)} points to different data. Get that data: dvc pull. Or start again: make clear-demo, "
            "then make demo."
        )
    return not held


def _write_folder(folder: Path, files: dict[str, bytes]) -> None:
    with write_whole(folder) as new:
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("data/raw"), help="folder of the drops (data/raw)")
    parser.add_argument("--list", type=Path, default=Path("data/drops.yaml"), help="list of drops (data/drops.yaml)")
    parser.add_argument("--users", type=int, default=5_000, help="approximate number of users per drop (5000)")
    parser.add_argument("--drops", type=int, default=12, help="number of weekly drops (12)")
    parser.add_argument("--seed", type=int, default=1, help="a different seed gives a different world (1)")
    parser.add_argument(
        "--last-drop", type=parse_drop, default="2026-03-22", help="date of the newest drop, a Sunday (2026-03-22)"
    )
    parser.add_argument(
        "--if-missing",
        action="store_true",
        help="do nothing unless listed demo drops are missing here, as in a fresh clone",
    )
    args = parser.parse_args()
    if args.if_missing and os.environ.get("CHURN_PULL") == "1":
        # Stale steps pull what they read.
        return
    make_demo_drops(
        args.output, args.list, args.users, args.drops, args.seed, args.last_drop, if_missing=args.if_missing
    )


if __name__ == "__main__":
    run_command(main)
