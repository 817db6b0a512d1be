"""Find the deliveries in the inbox that are complete, or broken; the others must wait."""

import os
import stat
from datetime import datetime, timedelta
from pathlib import Path

from churn.base.printable import printable
from churn.deliveries.file_names import is_leftover, match_names
from churn.deliveries.inbox_layout import READY, REJECTED
from churn.deliveries.regular_files import special_kind

# Times further ahead than this were set by the sender, or by a clock that was wrong.
MAX_AHEAD = timedelta(days=1)
# A delivery without _READY is complete when nothing in it has changed for this long.
STABLE = timedelta(minutes=10)


def find_complete(inbox: Path, stable: timedelta, now: datetime, patterns: dict[str, str]) -> list[Path]:
    """Return the complete deliveries; print why each of the others must wait. `match_names` explains `patterns`."""
    complete = []
    for path in sorted(inbox.iterdir()):
        if path.name.startswith(".") or path.name == REJECTED or is_leftover(path.name):
            continue
        if wait := explain_wait(path, stable, now, patterns):
            print(f"{printable(path.name)} must wait: {wait}.")
        else:
            complete.append(path)
    if not complete:
        print(f"No complete delivery in {inbox}.")
    return complete


def explain_wait(delivery: Path, stable: timedelta, now: datetime, patterns: dict[str, str]) -> str:
    """Return why a delivery is not complete, "" if it is complete.

    What has not changed for some time and still is not a folder with the five files counts as complete: it is broken.
    """
    try:
        mode = delivery.lstat().st_mode
        is_quiet = now - last_change(delivery, now) >= stable
        if not stat.S_ISDIR(mode):
            kind = special_kind(mode)
            return "" if is_quiet else f"{kind and f'it is {kind}; '}a delivery must be a folder with the five CSVs"
        missing, is_ready = _look_into(delivery, patterns)
    except FileNotFoundError:
        return "it is being moved"
    if is_quiet or (is_ready and not missing):
        return ""
    if missing:
        return f"{', '.join(missing)} missing or not readable yet"
    return f"it changed less than {stable.total_seconds() / 60:g} minutes ago and has no {READY}"


def last_change(delivery: Path, now: datetime) -> datetime:
    """Return when a delivery or a file in it last changed, including names and times; times in the future are ignored.

    Raises
    ------
    FileNotFoundError
        When the delivery is gone.
    """
    stats = [delivery.lstat()]
    if stat.S_ISDIR(stats[0].st_mode):
        try:
            with os.scandir(delivery) as entries:
                stats += [entry.stat(follow_symlinks=False) for entry in entries]
        except FileNotFoundError:
            # A file was moved or removed just now.
            return now
        except OSError:
            # It cannot be read, which is its reason once it has not changed for some time.
            pass
    # A copy that keeps the times of its source has an old mtime from the start, but a new ctime.
    times = [time for one in stats for time in (one.st_mtime, one.st_ctime)]
    latest = (now + MAX_AHEAD).timestamp()
    return datetime.fromtimestamp(max((time for time in times if time <= latest), default=0)).astimezone()


def _look_into(delivery: Path, patterns: dict[str, str]) -> tuple[list[str], bool]:
    """Return which of the five files are missing or cannot be read, and whether the delivery is marked as ready."""
    try:
        found = [path.name for path in delivery.iterdir()]
    except FileNotFoundError:
        raise
    except OSError:
        found = []
    missing = [
        name
        for name, names in match_names(found, patterns).items()
        if not any(_is_readable(delivery / own) for own in names)
    ]
    return missing, READY in found


def _is_readable(path: Path) -> bool:
    """Return whether this user may read a file; what is not a file is refused later, with its own reason."""
    try:
        mode = path.lstat().st_mode
    except PermissionError:
        # A folder that may be listed, but not entered.
        return False
    return not stat.S_ISREG(mode) or os.access(path, os.R_OK)
