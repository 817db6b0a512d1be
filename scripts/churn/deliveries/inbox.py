"""Ingest every complete delivery in the inbox, oldest first; move a broken one to rejected/ with the reason."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import IO

from churn.base.command import UserError
from churn.base.files import scratch_folder
from churn.base.git import run_git
from churn.base.printable import printable
from churn.deliveries.arrivals import find_complete
from churn.deliveries.aside import check_places, finish, leave, reject, remove_reasons
from churn.deliveries.check import Delivery
from churn.deliveries.folders import pointer_of
from churn.deliveries.ingest import COPIES, Placed, place_drop, read_own_list, read_received, register_drops
from churn.deliveries.receive import DiskFullError, Received, receive_delivery
from churn.deliveries.rules import Rules
from churn.deliveries.run_lock import no_run


def ingest_inbox(
    inbox: Path,
    raw: Path,
    listing: Path,
    stable: timedelta,
    now: datetime,
    rules: Rules,
    commit: bool = False,
    save: Callable[[], None] | None = None,
) -> list[Path]:
    """Ingest the complete deliveries, and return the paths of those that failed.

    A broken delivery is moved to rejected/ with the reason. One that failed for another cause, such as a full disk,
    stays in the inbox, and so does one that cannot be moved. Neither stops the others.

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
    rules : Rules
        How to read and judge the deliveries.
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
    check_places(inbox)
    with open_lock(inbox / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_reasons(inbox)
        complete = find_complete(inbox, stable, now, rules.mapping.names)
        if not complete:
            return []
        with no_run(listing.parent.parent), scratch_folder(raw / COPIES) as copies:
            read_own_list(listing)
            return ingest_complete(complete, copies, inbox, raw, listing, now.date(), rules, commit, save)


def ingest_complete(
    complete: list[Path],
    copies: Path,
    inbox: Path,
    raw: Path,
    listing: Path,
    today: date,
    rules: Rules,
    commit: bool,
    save: Callable[[], None] | None,
) -> list[Path]:
    """Ingest deliveries, and return the paths of those that failed. None is moved away before all are safe."""
    placed: dict[Path, Placed] = {}
    failed: list[Path] = []
    received: list[tuple[Delivery, Received]] = []
    for number, source in enumerate(complete):
        with set_aside(source, inbox, failed):
            one = receive_delivery(source, copies / str(number), rules.mapping.names, follow_links=False)
            received.append((read_received(one, raw, None, today, rules), one))
            continue
        shutil.rmtree(copies / str(number), ignore_errors=True)
    # The oldest first: each is compared with the drop before it.
    for delivery, one in sorted(received, key=lambda both: (both[0].drop, both[1].source.name)):
        with set_aside(one.source, inbox, failed):
            placed[one.source] = place_drop(delivery, one, raw, listing, False, rules)
    register_drops(list(placed.values()), raw, listing)
    if commit:
        for drop in placed.values():
            commit_drop(drop.drop, raw, listing, must=save is not None)
    if placed and save:
        save()
    return failed + [source for source in placed if not finish(source, inbox)]


@contextlib.contextmanager
def set_aside(delivery: Path, inbox: Path, failed: list[Path]) -> Iterator[None]:
    """Move a delivery aside when an error is raised inside, so that the next can be ingested; add its path to `failed`.

    Errors of reading the delivery are `UserError`; any other error of the system is not its fault: it stays.
    """
    try:
        yield
    except DiskFullError as error:
        failed.append(leave(delivery, inbox, str(error)))
    except UserError as error:
        failed.append(reject(delivery, inbox, str(error)))
    except OSError as error:
        reason = (
            f"{printable(delivery)} could not be copied: {error.strerror or error}: "
            f"{printable(error.filename or 'the copy')}. Fix this; the delivery stays where it is, "
            "and the next run ingests it."
        )
        failed.append(leave(delivery, inbox, reason))
    except Exception as error:
        # A fault of this program must not keep the other deliveries waiting.
        reason = f"{printable(delivery)} could not be read: {type(error).__name__}. Please report this."
        failed.append(leave(delivery, inbox, f"{reason}\n{error}"))


def open_lock(path: Path) -> IO[bytes]:
    """Open the inbox's lock file; create it if it is missing."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        what = "is a link" if path.is_symlink() else f"cannot be opened ({error.strerror})"
        raise UserError(f"{path} {what}. It must be an empty file that you may write to: remove it.") from None
    return os.fdopen(descriptor, "rb", buffering=0)


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
