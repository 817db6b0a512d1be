"""The locks of this folder: one for a running Snakemake, and those that a killed DVC leaves."""

import contextlib
import fcntl
import json
import os
from pathlib import Path

from .state import DVC_LOCK, STATE, stop

LOCK = STATE / "lock"


def lock_folder() -> int:
    """Lock the folder for this process, or stop and name the process that has it; the kernel unlocks it at the end."""
    STATE.mkdir(parents=True, exist_ok=True)
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        import psutil

        holder = os.read(lock, 20).decode()
        runs = holder.isdigit() and psutil.pid_exists(int(holder))
        who = f"process {holder}" if runs else "or a command that keeps it out"
        stop(f"Snakemake runs in this folder already ({who}); wait until it is done.")
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def is_locked() -> bool:
    """Return whether a Snakemake runs in this folder."""
    if not LOCK.exists():
        return False
    with LOCK.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def remove_dead_rwlock() -> bool:
    """Remove .dvc/tmp/rwlock if every process named in it is gone; return whether it was removed."""
    path = Path(".dvc/tmp/rwlock")
    try:
        written, locks = path.stat().st_mtime, json.loads(path.read_text())
        holders = [*locks.get("write", {}).values(), *(one for many in locks.get("read", {}).values() for one in many)]
    except FileNotFoundError:
        return False
    except ValueError:
        holders = []
    if any(is_alive(holder["pid"], written) for holder in holders):
        return False
    path.unlink(missing_ok=True)
    return True


def remove_unlinked_locks() -> bool:
    """Remove the lock files that nobody holds, where DVC locks by hard links; return whether there was any.

    With `core.hardlink_lock`, DVC takes any lock file for a lock that is held; a true one has a second link.
    """
    removed = False
    for path in DVC_LOCK, DVC_LOCK.with_name("rwlock.lock"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock.fileno()).st_nlink == 1:
                path.unlink()
                removed = True
    return removed


def is_alive(pid: int, since: float) -> bool:
    """Return whether the process that had this number at that time still runs: numbers are reused after a restart."""
    import psutil

    try:
        return bool(psutil.Process(pid).create_time() <= since)
    except psutil.NoSuchProcess:
        return False
