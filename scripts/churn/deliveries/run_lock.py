"""Keep runs apart from what changes data: drops that a run did not plan for would fail it half-way."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from churn.base.command import UserError

# A run holds this lock; see workflow/freshness/locks.py.
LOCK = Path(".snakemake/freshness/lock")


@contextmanager
def no_run(root: Path) -> Iterator[None]:
    """Keep Snakemake from starting in the repository; several deliveries may be ingested at a time.

    Raises
    ------
    UserError
        When Snakemake runs there.
    """
    path = root / LOCK
    if not path.exists():
        # Nothing has ever run here.
        yield
        return
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"Snakemake is running in {root.resolve()}, and this command would change files that it reads. Wait "
                "until it is done, then run this command again. Nothing was changed."
            ) from None
        yield
