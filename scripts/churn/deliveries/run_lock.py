"""Keep runs apart from what changes data: drops that a run did not plan for would fail it half-way."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from churn.base.command import UserError

# A run holds this lock; see workflow/freshness/locks.py.
LOCK = Path(".snakemake/freshness/lock")


@contextmanager
def no_run(root: Path, alone: bool = False) -> Iterator[None]:
    """Keep Snakemake from starting in the repository; several deliveries may be ingested at a time.

    Parameters
    ----------
    root : Path
        The repository's folder.
    alone : bool
        Also keep out everything else that calls this.

    Raises
    ------
    UserError
        When Snakemake runs there, or a command that must be alone, or any if this one must be.
    """
    path = root / LOCK
    if alone:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if not path.exists():
        # Nothing has ever run here.
        yield
        return
    with path.open() as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            other = "data is being changed" if alone else "a user is being erased"
            raise UserError(
                f"Snakemake is running, or {other}, in {root.resolve()}, and this command would change files that are "
                "read there. Wait until it is done, then run this command again. Nothing was changed."
            ) from None
        yield
