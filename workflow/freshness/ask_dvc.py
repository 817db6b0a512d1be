"""Ask DVC about every stage and pointer of the repository; clean up the locks that killed processes left."""

import json
import os
import time
from pathlib import Path
from typing import Any

from .listings import Listings
from .release_steps import receipt_hashes
from .state import GOOD_LOCKS, file_name, name_of, write_whole
from .steps import Step
from .why import explain


def ask_dvc(wait: int) -> list[Step]:
    """Return every stage and pointer of the repository with its state.

    If another DVC runs, wait for it. Remove the locks of dead processes, and replace a half-written dvc.lock by its
    last good content.

    Parameters
    ----------
    wait
        Seconds to wait for another DVC.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.rwlock import RWLockFileCorruptedError, RWLockFileFormatError
    from dvc.utils.strictyaml import YAMLSyntaxError, YAMLValidationError
    from snakemake.exceptions import WorkflowError

    deadline = time.monotonic() + wait
    while True:
        try:
            with Repo() as repo:
                steps = describe(repo)
            keep_good_locks(steps)
            return steps
        except (LockError, RWLockFileCorruptedError, RWLockFileFormatError) as error:
            if remove_dead_rwlock():
                continue
            if time.monotonic() > deadline:
                raise WorkflowError(f"DVC is busy in this repository; try again when it is done. {error}") from None
            time.sleep(1)
        except (YAMLSyntaxError, YAMLValidationError) as error:
            # `dvc repro` writes dvc.lock in place: a kill at that moment leaves half a file.
            if not restore_good_lock(str(error)):
                raise WorkflowError(f"DVC cannot read a file; git can restore it. {error}") from None
        except DvcException as error:
            raise WorkflowError(f"DVC: {error}") from None


def keep_good_locks(steps: list[Step]) -> None:
    """Keep a copy of every dvc.lock that DVC could read."""
    for path in {step.lock_file for step in steps if step.kind == "stage"}:
        if Path(path).exists():
            write_whole(GOOD_LOCKS / file_name(path), Path(path).read_text(encoding="utf-8"))


def restore_good_lock(error: str) -> bool:
    """Restore the dvc.lock that DVC could not read; return whether there was a good copy."""
    for good in GOOD_LOCKS.glob("*"):
        path = name_of(good)
        if path in error:
            good.replace(path)
            return True
    return False


def describe(repo: Any) -> list[Step]:
    """Return the stages and pointers of an open DVC repository."""
    from dvc.repo import lock_repo
    from dvc.stage import PipelineStage

    def relative(path: str) -> str:
        return os.path.relpath(path, repo.root_dir)

    # One lock around everything: without it, DVC would read all its files again for each question.
    with lock_repo(repo):
        status, listings = repo.status(check_updates=False), Listings(repo)
        steps = [
            Step(
                name=stage.addressing,
                kind="stage" if isinstance(stage, PipelineStage) else "pointer",
                deps=sorted(
                    {relative(dep.fs_path) for dep in stage.deps if dep.protocol == "local" and not stage.frozen}
                ),
                outs=[relative(out.fs_path) for out in stage.outs],
                why=explain(stage, status.get(stage.addressing, []), listings),
            )
            for stage in listings.stages
        ]
        listings.keep_current(receipt_hashes())
    return steps


def refuse_missing_data(steps: list[Step], hint: str) -> None:
    """Stop when data that no stage makes is neither here nor in DVC's cache."""
    from snakemake.exceptions import WorkflowError

    missing = [
        out for step in steps if step.kind == "pointer" and step.why for out in step.outs if not Path(out).exists()
    ]
    if missing:
        raise WorkflowError(f"DVC tracks {', '.join(missing)}, but it is not here. Get it: {hint}")


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
