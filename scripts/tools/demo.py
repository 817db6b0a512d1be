"""Make the demo's drops: weekly deliveries of one simulated world, with the bad rows that real files have.

What was planted, and how it shows in the figures: docs/demo-data.md.

Writes
    data/raw/<drop>/ and its DVC pointer, for each drop: PAYMENTS.csv, ACTIVE_USER.csv, DEMOGRAFICOS.csv,
    DINERO_CUENTA.csv, MARKETPLACE_DATA.csv (columns: churn.data.contract)
    data/drops.yaml: the drops, with the source demo
"""

import argparse
import hashlib
from datetime import date, timedelta
from pathlib import Path

from churn.base.command import UserError, run_command
from churn.base.drops import parse_drop, read_list, write_list
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
    """Make the drops that are not there yet, have DVC track them, and list them.

    Parameters
    ----------
    raw, listing : Path
        data/raw and data/drops.yaml.
    users : int
        About so many users stand in each drop.
    drops, last_drop : int, date
        How many weekly drops, and the date of the newest, a Sunday.
    seed : int
        Another seed gives another world.
    if_missing : bool
        Make them only when the list names demo drops that are not there.

    Raises
    ------
    UserError
        When a drop is there with other content, the list names one's own drops, or a date or number does not fit.
    """
    source, listed = read_list(listing)
    if if_missing and not _misses_demo_drops(raw, source, listed):
        return
    if source == "own":
        raise UserError(f"{listing} lists your own drops, and the demo's are not mixed with them.")
    dates = choose_dates(drops, last_drop)
    world = simulate_world(seed, users, last_drop)
    lines = payment_lines(world.payments)
    wanted = {raw / str(day): drop_files(world, lines, day_of(day)) for day in dates}
    new = {folder: files for folder, files in wanted.items() if _is_new(folder, files)}
    for folder, files in new.items():
        _write_folder(folder, files)
    if untracked := [folder for folder in wanted if folder in new or tracked_md5(folder) is None]:
        track_folders(untracked)
    write_list(listing, "demo", [*listed, *dates])
    rows = sum(files["PAYMENTS.csv"].count(b"\n") - 1 for files in new.values())
    print(f"{len(new)} demo drops made ({rows:,} payments), {len(wanted) - len(new)} were there already.")


def choose_dates(drops: int, last_drop: date) -> list[date]:
    """Return the dates of the weekly drops, oldest first."""
    if last_drop.isoweekday() != 7:
        raise UserError(f"--last-drop {last_drop} is no Sunday; the demo's drops are delivered on Sundays.")
    dates = [last_drop - timedelta(weeks=back) for back in reversed(range(drops))]
    if not dates or dates[0] < FIRST_DROP:
        most = (last_drop - FIRST_DROP).days // 7 + 1
        raise UserError(
            f"--drops {drops} up to {last_drop}: the demo's first drop is that of {FIRST_DROP}. "
            + (f"Ask for 1 to {most}." if most > 0 else "Choose a later --last-drop.")
        )
    return dates


def _misses_demo_drops(raw: Path, source: str, listed: list[date]) -> bool:
    folders = [raw / str(day) for day in listed]
    missing = [folder for folder in folders if not folder.exists()]
    if missing and source == "own":
        raise UserError(f"{', '.join(map(str, missing))}: listed, but not here. Get your drops: dvc pull")
    return source == "demo" and (bool(missing) or any(tracked_md5(folder) is None for folder in folders))


def _is_new(folder: Path, files: dict[str, bytes]) -> bool:
    """Tell whether the drop must be written; stop when something else has its place."""
    md5s = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    if (held := held_md5s(folder)) and held != md5s:
        raise UserError(
            f"{folder} holds other data than this would write, and nothing is overwritten. Take the demo drops out "
            "first: make clear-demo"
        )
    if tracked_md5(folder) not in (None, folder_md5(md5s)):
        raise UserError(
            f"{pointer_of(folder)} promises other data than this would write. Get that data: dvc pull. Or begin "
            "anew: make clear-demo, then make demo."
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
    parser.add_argument("--users", type=int, default=5_000, help="about so many users in each drop (5000)")
    parser.add_argument("--drops", type=int, default=12, help="how many weekly drops (12)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another world (1)")
    parser.add_argument(
        "--last-drop", type=parse_drop, default="2026-03-22", help="date of the newest drop, a Sunday (2026-03-22)"
    )
    parser.add_argument(
        "--if-missing",
        action="store_true",
        help="do nothing unless the list names demo drops that are not here, as in a fresh clone",
    )
    args = parser.parse_args()
    make_demo_drops(
        args.output, args.list, args.users, args.drops, args.seed, args.last_drop, if_missing=args.if_missing
    )


if __name__ == "__main__":
    run_command(main)
