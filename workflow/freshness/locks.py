"""The locks of this folder: one for a running Snakemake, and those that a killed DVC leaves."""

import fcntl
import json
import os
from pathlib import Path

from .state import STATE

LOCK = STATE / "lock"


def lock_folder() -> int:
    """Lock the folder for this process, or stop and name the process that has it; the kernel unlocks it at the end."""
    from snakemake.exceptions import WorkflowError

    STATE.mkdir(parents=True, exist_ok=True)
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode()
        raise WorkflowError(
            f"Snakemake runs in this folder already (process {holder}); wait until it is done."
        ) from None
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


def is_alive(pid: int, since: float) -> bool:
    """Return whether the process that had this number at that time still runs: numbers are reused after a restart."""
    import psutil

    try:
        return bool(psutil.Process(pid).create_time() <= since)
    except psutil.NoSuchProcess:
        return False
