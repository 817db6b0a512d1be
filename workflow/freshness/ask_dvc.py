"""What DVC says of every stage and pointer of the repository; what a kill left of its locks is mended on the way."""

import json
import os
import time
from pathlib import Path

from .state import GOOD_LOCKS, file_name, named_by, write_whole
from .steps import Step
from .why import explain


def ask_dvc(wait: int) -> list[Step]:
    """Return every stage and pointer of the repository with its state, waiting for another DVC to finish.

    Locks of dead processes are removed, and a half-written dvc.lock gets its last good content back.
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
            # `dvc repro` writes dvc.lock in place: killed meanwhile, it leaves half a file.
            if not put_good_lock_back(str(error)):
                raise WorkflowError(f"DVC cannot read a file; git can restore it. {error}") from None
        except DvcException as error:
            raise WorkflowError(f"DVC: {error}") from None


def keep_good_locks(steps: list[Step]) -> None:
    """Keep a copy of every dvc.lock that was just read."""
    for path in {step.lock_file for step in steps if step.kind == "stage"}:
        if Path(path).exists():
            write_whole(GOOD_LOCKS / file_name(path), Path(path).read_text(encoding="utf-8"))


def put_good_lock_back(error: str) -> bool:
    """Put the last good content into the dvc.lock that DVC could not read; tell whether there was one to mend."""
    for good in GOOD_LOCKS.glob("*"):
        path = named_by(good.name)
        if path in error:
            good.replace(path)
            return True
    return False


def describe(repo) -> list[Step]:
    """Return the steps of an open DVC repository."""
    from dvc.repo import lock_repo
    from dvc.stage import PipelineStage

    def relative(path: str) -> str:
        return os.path.relpath(path, repo.root_dir)

    # One lock around both: DVC would read all its files again for the second.
    with lock_repo(repo):
        status, stages = repo.status(check_updates=False), repo.index.stages
    return [
        Step(
            name=stage.addressing,
            kind="stage" if isinstance(stage, PipelineStage) else "pointer",
            deps=sorted({relative(dep.fs_path) for dep in stage.deps if dep.protocol == "local" and not stage.frozen}),
            outs=[relative(out.fs_path) for out in stage.outs],
            why=explain(stage, status.get(stage.addressing, [])),
        )
        for stage in stages
    ]


def refuse_missing_data(steps: list[Step], hint: str) -> None:
    """Stop when data that no stage makes is neither here nor in DVC's cache."""
    from snakemake.exceptions import WorkflowError

    missing = [
        out for step in steps if step.kind == "pointer" and step.why for out in step.outs if not Path(out).exists()
    ]
    if missing:
        raise WorkflowError(f"DVC tracks {', '.join(missing)}, but it is not here. Get it: {hint}")


def remove_dead_rwlock() -> bool:
    """Remove .dvc/tmp/rwlock when no process that it names is alive; tell whether it was removed."""
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
    """Tell whether a process runs that was there at a time: after a restart another may have its number."""
    import psutil

    try:
        return psutil.Process(pid).create_time() <= since
    except psutil.NoSuchProcess:
        return False
