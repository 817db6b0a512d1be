"""Ingest every complete delivery in the inbox, oldest first; move a broken one aside with the reason."""

import contextlib
import fcntl
import io
import os
from datetime import date, datetime, timedelta
from pathlib import Path

from churn.base.command import UserError
from churn.base.git import run_git
from churn.data.contract import FILES
from churn.deliveries.date import choose_drop_date, count_payment_days
from churn.deliveries.folders import TrackingError, pointer_of
from churn.deliveries.inbox_layout import DONE, READY, REASON, REJECTED
from churn.deliveries.ingest import ingest_drop, read_own_list, unpacked


def ingest_inbox(
    inbox: Path, raw: Path, listing: Path, stable: timedelta, now: datetime, commit: bool = False
) -> list[Path]:
    """Take in what is complete, and return where the broken deliveries are now.

    Parameters
    ----------
    inbox : Path
        Folder of the deliveries.
    raw, listing : Path
        data/raw and data/drops.yaml.
    stable : timedelta
        How long nothing may have changed in a delivery without the file _READY.
    now : datetime
        The time, in this machine's zone.
    commit : bool
        Commit each drop's pointer and the list to git.

    Raises
    ------
    UserError
        When the inbox is missing, the list cannot be read or is the demo's, or DVC fails: no delivery's fault, so none
        is moved.
    """
    if not inbox.is_dir():
        raise UserError(f"{inbox} is not a folder. Make it, or mend CHURN_INBOX (in .env or the environment).")
    with (inbox / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        complete, rejected = find_complete(inbox, stable, now), []
        if complete:
            read_own_list(listing)
        for delivery in order_by_date(complete, now.date()):
            try:
                drop = ingest_drop(delivery, raw, listing, None, False, now.date())
            except TrackingError:
                raise
            except UserError as error:
                (delivery / REASON).write_text(f"{error}\n")
                rejected.append(move(delivery, inbox / REJECTED))
                print(f"REJECTED: {delivery.name} is in {rejected[-1]} now: {error}")
                continue
            if commit:
                commit_drop(drop, raw, listing)
            print(f"{delivery.name} is in {move(delivery, inbox / DONE)} now.")
    return rejected


def find_complete(inbox: Path, stable: timedelta, now: datetime) -> list[Path]:
    """Return the complete deliveries; tell of each other one why it is left alone."""
    complete = []
    for path in sorted(inbox.iterdir()):
        if path.name.startswith(".") or path.name == REJECTED:
            continue
        if wait := explain_wait(path, stable, now):
            print(f"{path.name} is left alone: {wait}.")
        else:
            complete.append(path)
    if not complete:
        print(f"No complete delivery in {inbox}.")
    return complete


def explain_wait(delivery: Path, stable: timedelta, now: datetime) -> str:
    """Return why a delivery is not complete, "" when it is.

    One that says it is ready and yet lacks a file is taken for complete when nothing more has come: it is broken.
    """
    if not delivery.is_dir():
        return "a delivery is a folder of its own with the five CSVs"
    missing = [name for name in FILES if not any(is_readable(delivery / f"{name}{end}") for end in ("", ".gz"))]
    ready, quiet = (delivery / READY).exists(), now - last_change(delivery, now) >= stable
    if missing and not (ready and quiet):
        return f"{', '.join(missing)} cannot be read here yet"
    if not ready and not quiet:
        minutes = stable.total_seconds() / 60
        return f"something in it changed less than {minutes:g} minutes ago, and there is no {READY}"
    return ""


def is_readable(path: Path) -> bool:
    """Tell whether a file is there, and this user may read it."""
    return path.is_file() and os.access(path, os.R_OK)


def last_change(folder: Path, now: datetime) -> datetime:
    """Return when something in a folder last changed, were it only a file's name or time."""
    try:
        stats = [path.stat() for path in (folder, *folder.iterdir())]
    except FileNotFoundError:
        return now
    # A copy that keeps the times of its source has an old mtime from the first moment on; not so the ctime.
    return datetime.fromtimestamp(max(max(stat.st_mtime, stat.st_ctime) for stat in stats)).astimezone()


def order_by_date(deliveries: list[Path], today: date) -> list[Path]:
    """Return the deliveries by the date that their payments give them; those that have none come last."""
    return sorted(deliveries, key=lambda delivery: (read_date(delivery, today), delivery.name))


def read_date(delivery: Path, today: date) -> date:
    """Return the date of a delivery; ingest_drop will tell what is wrong with one that has none."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(UserError), unpacked(delivery) as files:
        return choose_drop_date(files / "PAYMENTS.csv", count_payment_days(files / "PAYMENTS.csv"), today)
    return date.max


def move(delivery: Path, folder: Path) -> Path:
    """Move a delivery into a folder, under a name that is free there, and return where it is."""
    folder.mkdir(exist_ok=True)
    names = (delivery.name, *(f"{delivery.name}-{number}" for number in range(2, 10_000)))
    target = next(folder / name for name in names if not (folder / name).exists())
    return delivery.rename(target)


def commit_drop(drop: date, raw: Path, listing: Path) -> None:
    """Commit a drop's pointer and the list, or warn that git would not."""
    paths = [str(pointer_of(raw / str(drop))), str(listing)]
    if not run_git("status", "--porcelain", "--", *paths).stdout:
        return
    for arguments in ("add",), ("commit", "--quiet", "--message", f"Drop {drop}"):
        done = run_git(*arguments, "--", *paths)
        if done.returncode:
            print(f"WARNING: git did not commit {' and '.join(paths)}: {(done.stderr or done.stdout).strip()}")
            return
