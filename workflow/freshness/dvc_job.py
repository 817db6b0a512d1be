"""DVC brings one stage or pointer up to date.

A job of Snakemake has the run's DVC process do this (`warm.py`). Where that cannot be reached, as on another node of a
cluster, the job loads DVC for itself (`run_alone`).
"""

import contextlib
import fcntl
import io
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dvc.dvcfile
import dvc.rwlock
import dvc.stage.run
from dvc.cli import _log_exceptions
from dvc.exceptions import CheckoutError, DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import _reproduce
from dvc.stage.serialize import to_lockfile
from dvc.ui import ui
from dvc.utils.serialize import _common, _yaml

from .loaded import Loaded, lock_of, only_remote
from .lock_blocks import write_block
from .partial import record_whole
from .state import TURN, outcome_file, stamp, write_whole
from .steps import Step, read_plan

POLL_SECONDS = 0.05
logger = logging.getLogger("dvc")


def bring_up_to_date(loaded: Loaded, name: str, plan: dict[str, Step]) -> int:
    """Do what `dvc repro --single-item` does, or `dvc commit` for a pointer; return the exit code.

    The process serves no other stage afterwards: DVC is changed for this one.

    Parameters
    ----------
    loaded
        The repository.
    name
        The stage or pointer.
    plan
        The steps of this run by name; one that is not among them runs if DVC finds it stale.
    """
    step = plan.get(name)
    print(step.log_head if step else "", end="", flush=True)
    ran = change_dvc(loaded, name)
    try:
        with locked(loaded.repo), loaded.repo.scm_context(quiet=True):
            outcome = bring(loaded, name, step)
        write_whole(outcome_file(name), "ran" if ran else outcome)
        if step and stamp(name) in step.makes:
            write_whole(Path(stamp(name)), "")
    except KeyboardInterrupt:
        logger.exception("interrupted by the user")
        return 130
    except Exception as error:
        show(error)
        return 1
    return 0


def bring(loaded: Loaded, name: str, step: Step | None) -> str:
    """Run, restore or skip the stage under DVC's lock, or record the pointer; return what was done."""
    force = bool(step and step.forced)
    if loaded.is_outdated() or name not in loaded.stages:
        loaded.load()
    if name not in loaded.stages:
        raise DvcException(f"no stage or pointer {name!r}; `dvc stage list --all` shows those there are")
    if not loaded.is_pipeline_stage(name):
        return record_pointer(loaded.stages[name])
    if loaded.changed_elsewhere(name):
        loaded.load()
    stage = loaded.stages[name]
    restored = not force and restore_outputs(stage)
    # Whether its own inputs have changed is decided already, also of what is missing.
    decided = step and step.stamped and (step.pulls or step.missing) and not (force or step.why or step.needed)
    if decided and not stage.changed(allow_missing=True):
        return "unchanged"
    if step and step.pulls:
        pull(loaded, step.pulls)
    if step and step.reads is not None:
        record_whole(stage, loaded.repo)
    return "restored" if _reproduce([stage], force=force) or restored else "unchanged"


def pull(loaded: Loaded, targets: list[str]) -> None:
    """Get data from the DVC remote."""
    print(f"Pulling {', '.join(targets)}", flush=True)
    try:
        loaded.repo.fetch(targets, remote=only_remote(loaded.repo))
        # After fetching, DVC forgets what the lists of folders said on the remote, and so a list that it has refused.
        # `locked` keeps it from forgetting what is loaded; here it must.
        Repo._reset(loaded.repo)
        loaded.repo.checkout(targets)
    except CheckoutError as error:
        raise DvcException(
            f"{', '.join(targets)} could not be pulled whole: the remote lacks a file, or has another content than "
            "DVC recorded, which `verify` on the remote refuses"
        ) from error


def record_pointer(stage: Any) -> str:
    """Record what the data of a pointer is now, or import it again if its source has changed."""
    if stage.is_import and not stage.frozen and stage.changed_deps():
        return "imported" if _reproduce([stage]) else "unchanged"
    # `repro` and `add` may move the data away and link it back from the cache; this never does.
    stage.save_outs()
    stage.md5 = stage.compute_md5()
    stage.commit(relink=False)
    stage.dump(update_pipeline=False)
    return "recorded"


def restore_outputs(stage: Any) -> bool:
    """Restore the outputs that are gone of a stage that is as recorded; return whether there were any.

    Snakemake removes the outputs of a rule before its job. Where it leaves one, as a metric that is not in DVC's cache,
    DVC would run the stage.
    """
    gone = [out for out in stage.outs if out.use_cache and out.hash_info and not out.exists]
    if not gone or stage.changed_stage() or stage.changed_deps():
        return False
    cached = [out for out in gone if not out.changed_cache()]
    for out in cached:
        out.checkout()
    return bool(cached)


class Turns:
    """DVC's lock of the repository; jobs take turns.

    Jobs of one run queue for their turn in the kernel; the one whose turn it is looks every 50 ms whether another
    process has let go of DVC's lock. DVC itself looks every half second.
    """

    def __init__(self, lock: Any):
        self._lock, self._turn = lock, -1

    def lock(self) -> None:
        """Wait for our turn, then for DVC's lock."""
        TURN.parent.mkdir(parents=True, exist_ok=True)
        self._turn = os.open(TURN, os.O_RDWR | os.O_CREAT)
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        # DVC's alternative for file systems without flock has no single attempt.
        attempt = getattr(self._lock, "_do_lock", self._lock.lock)
        while True:
            try:
                attempt()
            except LockError:
                time.sleep(POLL_SECONDS)
            else:
                return

    def unlock(self) -> None:
        """Let the next one have it."""
        self._lock.unlock()
        os.close(self._turn)

    @property
    def is_locked(self) -> bool:
        """Whether this process has the lock."""
        return bool(self._lock.is_locked)


@contextlib.contextmanager
def locked(repo: Any) -> Iterator[None]:
    """Hold DVC's lock; its functions, which would take it and load again, work under this one with what is loaded."""
    repo.lock = Turns(repo.lock)
    repo.lock.lock()
    repo._lock_depth, repo._reset = 1, repo.state.close
    try:
        yield
    finally:
        repo.lock.unlock()


def change_dvc(loaded: Loaded, name: str) -> list[str]:
    """Change DVC for one stage; return the list to which it adds the stage when its command runs."""
    run_command, dump_stages, ran = dvc.stage.run.cmd_run, dvc.dvcfile.Lockfile.dump_stages, []

    def run_and_record(*args: Any, **options: Any) -> Any:
        ran.append(name)
        return run_command(*args, **options)

    def dump_blocks(lockfile: Any, stages: list[Any], **options: Any) -> None:
        for stage in stages:
            path, entry = lock_of(stage), to_lockfile(stage, **options)[stage.name]
            changed = write_block(Path(path), stage.name, entry, loaded.names[path])
            if changed is None:
                dump_stages(lockfile, [stage], **options)
            elif changed:
                loaded.repo.scm_context.track_file(path)

    dvc.stage.run.cmd_run = run_and_record
    dvc.dvcfile.Lockfile.dump_stages = dump_blocks
    dvc.rwlock.rwlock = outermost(dvc.rwlock.rwlock)
    _common._dump_data = _yaml._dump_data = dump_whole
    return ran


def outermost(rwlock: Any) -> Any:
    """Return DVC's list of locked paths, written once for a stage: what its parts lock, the whole has locked."""
    held = False

    @contextlib.contextmanager
    def lock(*args: Any) -> Iterator[None]:
        nonlocal held
        if held:
            yield
            return
        held = True
        try:
            with rwlock(*args):
                yield
        finally:
            held = False

    return lock


def dump_whole(path: Any, data: Any, dumper: Any, fs: Any = None, **options: Any) -> None:
    """Write a file of DVC in one step: DVC writes in place, and leaves half a file when killed or on a full disk."""
    text = io.StringIO()
    dumper(data, text, **options)
    write_whole(Path(path), text.getvalue())


def show(error: Exception) -> None:
    """Print an error as DVC's commands do: in a line, and what to do about it where DVC knows that."""
    if isinstance(error, DvcException):
        logger.exception("")
    else:
        _log_exceptions(error)


def pull_alone(paths: list[str]) -> int:
    """Get data for a step that is no stage; return the exit code."""
    ui.enable()
    loaded = Loaded()
    try:
        with locked(loaded.repo):
            loaded.load()
            pull(loaded, paths)
    except Exception as error:
        show(error)
        return 1
    return 0


def run_alone(name: str) -> int:
    """Do it in a process of its own."""
    ui.enable()
    # It is loaded when DVC's lock is ours.
    return bring_up_to_date(Loaded(), name, read_plan())
