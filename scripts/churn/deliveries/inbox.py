"""Ingest every complete delivery in the inbox, oldest first; move a broken one to rejected/ with the reason."""

import contextlib
import fcntl
import io
import os
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

from churn.base.command import UserError
from churn.base.git import run_git
from churn.data.contract import FILES
from churn.deliveries.date import choose_drop_date, count_payment_days
from churn.deliveries.folders import free_path, pointer_of
from churn.deliveries.inbox_layout import DONE, READY, REASON, REJECTED
from churn.deliveries.ingest import place_drop, read_own_list, register_drops, unpacked
from churn.deliveries.run_lock import no_run


def ingest_inbox(
    inbox: Path,
    raw: Path,
    listing: Path,
    stable: timedelta,
    now: datetime,
    commit: bool = False,
    save: Callable[[], None] | None = None,
) -> list[Path]:
    """Ingest the complete deliveries, and return the new paths of the broken ones.

    Parameters
    ----------
    inbox : Path
        Folder of the deliveries.
    raw, listing : Path
        data/raw and data/drops.yaml.
    stable : timedelta
        A delivery without the file _READY is complete when nothing in it has changed for this long.
    now : datetime
        The current time, in this machine's time zone.
    commit : bool
        Commit each drop's pointer and the list to git.
    save : callable or None
        Called before ingested deliveries are moved away: sends the drops to where other clones find them.

    Raises
    ------
    UserError
        When the inbox is missing, the list cannot be read or is the demo's, Snakemake is running, DVC fails, or the
        drops cannot be saved. Then no delivery is moved.
    """
    if not inbox.is_dir():
        raise UserError(f"{inbox} is not a folder. Create it, or correct CHURN_INBOX (in .env or the environment).")
    with (inbox / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        complete = find_complete(inbox, stable, now)
        if not complete:
            return []
        with no_run(listing.parent.parent):
            read_own_list(listing)
            return ingest_complete(complete, inbox, raw, listing, now.date(), commit, save)


def ingest_complete(
    complete: list[Path],
    inbox: Path,
    raw: Path,
    listing: Path,
    today: date,
    commit: bool,
    save: Callable[[], None] | None,
) -> list[Path]:
    """Ingest deliveries, and return the new paths of the broken ones. None is moved away before all are safe."""
    placed, rejected = {}, []
    for delivery in order_by_date(complete, today):
        try:
            placed[delivery] = place_drop(delivery, raw, None, False, today)
        except UserError as error:
            (delivery / REASON).write_text(f"{error}\n")
            rejected.append(move(delivery, inbox / REJECTED))
            print(f"REJECTED: {delivery.name} was moved to {rejected[-1]}: {error}")
    register_drops(list(placed.values()), raw, listing)
    if commit:
        for one in placed.values():
            commit_drop(one.drop, raw, listing, must=save is not None)
    if placed and save:
        save()
    for delivery in placed:
        print(f"{delivery.name} was moved to {move(delivery, inbox / DONE)}.")
    return rejected


def find_complete(inbox: Path, stable: timedelta, now: datetime) -> list[Path]:
    """Return the complete deliveries; print why each of the others must wait."""
    complete = []
    for path in sorted(inbox.iterdir()):
        if path.name.startswith(".") or path.name == REJECTED:
            continue
        if wait := explain_wait(path, stable, now):
            print(f"{path.name} must wait: {wait}.")
        else:
            complete.append(path)
    if not complete:
        print(f"No complete delivery in {inbox}.")
    return complete


def explain_wait(delivery: Path, stable: timedelta, now: datetime) -> str:
    """Return why a delivery is not complete, "" if it is complete.

    A delivery marked ready that still lacks a file after some time counts as complete: it is broken.
    """
    if not delivery.is_dir():
        return "a delivery must be a folder with the five CSVs"
    missing = [name for name in FILES if not any(is_readable(delivery / f"{name}{end}") for end in ("", ".gz"))]
    ready, quiet = (delivery / READY).exists(), now - last_change(delivery, now) >= stable
    if missing and not (ready and quiet):
        return f"{', '.join(missing)} missing or not readable yet"
    if not ready and not quiet:
        minutes = stable.total_seconds() / 60
        return f"it changed less than {minutes:g} minutes ago and has no {READY}"
    return ""


def is_readable(path: Path) -> bool:
    """Return whether a file exists and this user may read it."""
    return path.is_file() and os.access(path, os.R_OK)


def last_change(folder: Path, now: datetime) -> datetime:
    """Return when a folder or a file in it last changed, including names and times."""
    try:
        stats = [path.stat() for path in (folder, *folder.iterdir())]
    except FileNotFoundError:
        return now
    # A copy that keeps the times of its source has an old mtime from the start, but a new ctime.
    return datetime.fromtimestamp(max(max(stat.st_mtime, stat.st_ctime) for stat in stats)).astimezone()


def order_by_date(deliveries: list[Path], today: date) -> list[Path]:
    """Return the deliveries in order of their dates; those without a date come last."""
    return sorted(deliveries, key=lambda delivery: (read_date(delivery, today), delivery.name))


def read_date(delivery: Path, today: date) -> date:
    """Return a delivery's date; if it has none, the latest possible (ingest_drop then reports the reason)."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(UserError), unpacked(delivery) as files:
        return choose_drop_date(files / "PAYMENTS.csv", count_payment_days(files / "PAYMENTS.csv"), today)
    return date.max


def move(delivery: Path, folder: Path) -> Path:
    """Move a delivery into a folder, under a free name, and return its new path."""
    folder.mkdir(exist_ok=True)
    return delivery.rename(free_path(folder / delivery.name))


def commit_drop(drop: date, raw: Path, listing: Path, must: bool) -> None:
    """Commit a drop's pointer and the list; if git fails, raise `UserError` if they must be, else print it."""
    ignore = listing.absolute().parents[1] / ".dvcignore"
    paths = [str(path) for path in (pointer_of(raw / str(drop)), listing, ignore) if path.exists()]
    changed = run_git("status", "--porcelain", "--", *paths)
    steps = [changed]
    if changed.stdout:
        commit = ("commit", "--quiet", "--message", f"Drop {drop}")
        steps += [run_git(*arguments, "--", *paths) for arguments in (("add",), commit)]
    failed = next((step for step in reversed(steps) if step.returncode), None)
    if failed:
        reason = f"git did not commit {' and '.join(paths[:2])}: {(failed.stderr or failed.stdout).strip()}"
        if must:
            raise UserError(f"{reason}\nThe deliveries stay in the inbox.")
        print(f"WARNING: {reason}")
