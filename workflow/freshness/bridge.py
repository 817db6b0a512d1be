"""One pipeline, two front doors: DVC knows which steps are stale, Snakemake runs those, in parallel.

A *stage* is a step of dvc.yaml, a *pointer* a `.dvc` file, an *effect* a rule that DVC does not know (it acts on the
world outside). Snakemake is told what is stale by one token file a step: its time is now while the step is stale
and 1970 while it is fresh. No other timestamp counts.

In a Snakefile:

    fresh = Freshness(workflow)
    rule clean:
        input: fresh.stage("clean@{name}")
        output: "clean/{name}.parquet"
        shell: "python workflow/run_stage.py clean@{wildcards.name}"
"""

import contextlib
import fcntl
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .ask_dvc import ask_dvc, refuse_missing_data
from .release_steps import differing, locked_hashes, read_receipt, receipt_of
from .state import OUTCOMES, STATE, stamp, write_whole
from .steps import Step, makers_of, overlap, read_plan, write_plan
from .why import reasons, summary


class Freshness:
    """What is stale, asked of DVC once, by the main Snakemake process."""

    def __init__(self, workflow, wait: int = 60, hint: str = "dvc pull"):
        self.workflow = workflow
        # Jobs, and the stages that DVC runs in them, use the Python that has Snakemake and DVC.
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self.why: dict[str, list[str]] | None = None
        # A job's own Snakemake parses again: it takes the plan that the main one made.
        steps = self._ask(wait, hint) if workflow.is_main_process else read_plan()
        self.steps = {step.name: step for step in steps}
        self.locked = locked_hashes(steps) if workflow.is_main_process else {}

    def stage(self, name: str) -> Callable:
        """Return the input function of the rule that runs a stage or brings a pointer up to date."""
        from snakemake.exceptions import WorkflowError

        if "{" not in name and name not in self.steps:
            raise WorkflowError(f"DVC knows no stage or pointer {name!r}; `dvc stage list --all` shows those it knows.")
        return lambda wildcards: self._inputs(name.format(**wildcards))

    def stamp(self, name: str) -> str:
        """Return the output of the rule of a stage that has none."""
        return stamp(name)

    def release(
        self, name: str, uses: list[str], makes: list[str], settings: dict[str, str], lost=lambda: False
    ) -> Callable:
        """Return the input function of a rule that acts on the world outside.

        It is stale when its receipt (the content of what it used, and the settings) differs from today's, or when
        what it made outside is `lost`, a function without arguments.
        """
        if self.workflow.is_main_process:
            changed = differing(receipt_of(uses, settings, self.locked), read_receipt(name))
            if not changed and lost():
                changed = ["what it made is gone"]
            self.steps[name] = Step(name, "release", uses, makes, changed, settings)
        return lambda wildcards: self._inputs(name)

    def print_summary(self) -> None:
        """Print in one line what came of the stages: at the end of a run, in `onsuccess`."""
        print(summary(), file=sys.stderr)

    def _ask(self, wait: int, hint: str) -> list[Step]:
        with writing_state():
            self._lock = take_turn()
            steps = ask_dvc(wait)
            refuse_missing_data(steps, hint)
            forget_killed_jobs()
        return steps

    def _inputs(self, name: str) -> list[str]:
        """Return the token and what other steps make; files that no step makes are the token's business."""
        from snakemake.io import ancient

        if name not in self.steps:
            return [f"a stage or pointer {name!r} in DVC"]
        step, why = self.steps[name], self._decide()
        inputs = [str(step.token)]
        for dep in step.deps:
            for maker in makers_of(dep, list(self.steps.values())):
                if why[maker.name]:
                    # Plain: below a job that runs, Snakemake ignores other reasons to run when all that it takes from
                    # that job is ancient, the token too.
                    inputs += [path for path in maker.makes if maker.kind == "pointer" or overlap(path, dep)]
                elif maker.kind != "pointer":
                    inputs += [ancient(path) for path in maker.makes if overlap(path, dep)]
        return list(dict.fromkeys(inputs))

    def _decide(self) -> dict[str, list[str]]:
        """Return why each step will run, decided when all rules and what the user asked for are known."""
        if self.why is None:
            steps = list(self.steps.values())
            if self.workflow.is_main_process:
                with writing_state():
                    for step in steps:
                        step.forced = self._is_forced(step)
                        write_token(step)
                    write_plan(steps)
            self.why = reasons(steps)
        return self.why

    def _is_forced(self, step: Step) -> bool:
        ask = self.workflow.dag_settings
        asked = set(ask.forcerun) | (set(ask.targets) if ask.forcetargets else set())
        rules = [self.workflow.get_rule(name) for name in asked if self.workflow.is_rule(name)]
        return ask.forceall or any(out in asked or any(rule.is_producer(out) for rule in rules) for out in step.makes)


@contextlib.contextmanager
def writing_state() -> Iterator[None]:
    """Say in one message that the bridge cannot write what it must."""
    from snakemake.exceptions import WorkflowError

    try:
        yield
    except OSError as error:
        # Snakemake's own log is on that disk too: it would print a traceback for each line.
        logging.raiseExceptions = False
        raise WorkflowError(f"Cannot write {error.filename or STATE}: {error.strerror}. Nothing was run.") from None


def take_turn() -> int:
    """Lock the folder for this process, which the kernel undoes when it dies, or say who holds it."""
    from snakemake.exceptions import WorkflowError

    STATE.mkdir(parents=True, exist_ok=True)
    lock = os.open(STATE / "lock", os.O_RDWR | os.O_CREAT)
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


def write_token(step: Step) -> None:
    """Make the token newer than every output of a stale step, and older than all of a fresh one."""
    now = time.time()
    # New content each time: Snakemake takes a newer input with the checksum that it recorded for unchanged.
    write_whole(step.token, "\n".join([*step.why, str(time.time_ns())]) if step.why else "fresh")
    if not step.why:
        os.utime(step.token, (0, 0))
        if not step.outs:
            write_whole(Path(stamp(step.name)), "")
    for out in map(Path, step.makes):
        # An output from the future would hide the token, and Snakemake would refuse what is made from it.
        if out.exists() and out.lstat().st_mtime >= now:
            os.utime(out, (now - 1, now - 1), follow_symlinks=False)


def forget_killed_jobs() -> None:
    """Remove what a killed Snakemake left (whether an output is whole is DVC's to say) and the last run's outcomes."""
    for folder in ".snakemake/backups", OUTCOMES:
        shutil.rmtree(folder, ignore_errors=True)
    leftovers = (
        *Path(".snakemake/locks").glob("*.lock"),
        *Path(".snakemake/incomplete").rglob("*"),
        *STATE.glob("*.new"),
    )
    for leftover in leftovers:
        if leftover.is_file():
            leftover.unlink(missing_ok=True)
