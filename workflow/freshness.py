"""One pipeline, two front doors: DVC knows which steps are stale, Snakemake runs those, in parallel.

A *stage* is a step of dvc.yaml, a *pointer* a `.dvc` file, an *effect* a rule that DVC does not know (it acts on the
world outside). Snakemake is told what is stale by one token file a step: its time is now while the step is stale
and 1970 while it is fresh. No other timestamp counts.

In a Snakefile:

    fresh = Freshness(workflow)
    rule clean:
        input: fresh.stage("clean@{drop}")
        output: "clean/{drop}.parquet"
        shell: "python workflow/freshness.py clean@{wildcards.drop}"
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from effects import differing, read_receipt, receipt_of
from steps import STATE, Step, makers_of, overlap, read_plan, write_plan
from why import explain, print_reasons

TOKENS, GOOD_LOCK = STATE / "tokens", STATE / "dvc.lock.good"
# DVC for many short jobs that take turns: it looks every 50 ms whether another DVC has left the repository, not every
# half second, reads dvc.lock, which has no comments to keep, with the parser that keeps none (six times as fast), and
# ends too soon for its garbage to matter.
SWIFT_DVC = """
import gc
import sys
gc.disable()
import dvc.lock
from dvc.cli import main
from dvc.utils.serialize import _yaml
dvc.lock.DEFAULT_TIMEOUT = 0.3
if "repro" in sys.argv:
    _yaml.parse_yaml_for_update = _yaml.parse_yaml
sys.exit(main(sys.argv[1:]))
"""


class Freshness:
    """What is stale, asked of DVC once, by the main Snakemake process."""

    def __init__(self, workflow, wait: int = 60, hint: str = "dvc pull"):
        self.workflow = workflow
        # Jobs, and the stages that DVC runs in them, use the Python that has Snakemake and DVC.
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self.will_run_cache: dict[str, bool] = {}
        if workflow.is_main_process:
            self.alone = self._take_turn()
            steps = ask_dvc(wait, mend=self.alone)
            refuse_missing_data(steps, hint)
            if self.alone:
                forget_killed_jobs()
                for step in steps:
                    write_token(step)
                write_plan(steps)
        else:
            # A job's own Snakemake parses again: it takes the plan that the main one made.
            self.alone = False
            steps = read_plan()
        self.steps = {step.name: step for step in steps}

    def stage(self, name: str) -> Callable:
        """Return the input function of the rule that runs a stage or brings a pointer up to date."""
        return lambda wildcards: self._inputs(name.format(**wildcards))

    def effect(self, name: str, uses: list[str], makes: str, settings: dict[str, str], lost: bool = False) -> Callable:
        """Return the input function of a rule that acts on the world outside.

        It is stale when its receipt (the content of what it used, and the settings) differs from today's, or when
        what it made outside is `lost`.
        """
        changed = differing(receipt_of(uses, settings), read_receipt(name))
        if lost and not changed:
            changed = ["what it made is gone"]
        step = self.steps.setdefault(name, Step(name, "effect", uses, [makes], changed, settings))
        if self.alone:
            write_token(step)
            write_plan(list(self.steps.values()))
        return lambda wildcards: self._inputs(name)

    def _take_turn(self) -> bool:
        """Lock the folder for this process (the kernel unlocks when it dies); False when another holds it."""
        TOKENS.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(STATE / "lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _inputs(self, name: str) -> list[str]:
        """Return the token and what other steps make; files that no step makes are the token's business."""
        from snakemake.io import ancient

        step = self.steps[name]
        inputs = [str(token_path(name))]
        for dep in step.deps:
            for maker in makers_of(dep, list(self.steps.values())):
                if self._will_run(maker.name):
                    # Plain: below a job that runs, Snakemake ignores other reasons to run when all that it takes from
                    # that job is ancient, the token too.
                    inputs += [path for path in maker.makes if maker.kind == "pointer" or overlap(path, dep)]
                elif maker.kind != "pointer":
                    inputs += [ancient(path) for path in maker.makes if overlap(path, dep)]
        return list(dict.fromkeys(inputs))

    def _will_run(self, name: str) -> bool:
        if name not in self.will_run_cache:
            step, ask = self.steps[name], self.workflow.dag_settings
            forced = set(ask.forcerun) | (set(ask.targets) if ask.forcetargets else set())
            rule_and_outs = {name.partition("@")[0], *step.makes}
            makers = [maker for dep in step.deps for maker in makers_of(dep, list(self.steps.values()))]
            self.will_run_cache[name] = bool(
                step.why or ask.forceall or forced & rule_and_outs or any(self._will_run(one.name) for one in makers)
            )
        return self.will_run_cache[name]


def token_path(name: str) -> Path:
    """Return the token of a step; the ending keeps DVC from reading a pointer's token as a pointer."""
    return TOKENS / (name.replace("/", "%") + ".token")


def write_token(step: Step) -> None:
    """Make the token newer than every output of a stale step, and older than all of a fresh one."""
    token, now = token_path(step.name), time.time()
    # New content each time: Snakemake takes a newer input with the checksum that it recorded for unchanged.
    token.write_text("\n".join([*step.why, str(time.time_ns())]) if step.why else "fresh")
    if not step.why:
        os.utime(token, (0, 0))
    for out in map(Path, step.makes):
        # An output from the future would hide the token, and Snakemake would refuse what is made from it.
        if out.exists() and out.lstat().st_mtime >= now:
            os.utime(out, (now - 1, now - 1), follow_symlinks=False)


def forget_killed_jobs() -> None:
    """Remove what a killed Snakemake left: whether an output is whole is DVC's to say."""
    shutil.rmtree(".snakemake/backups", ignore_errors=True)
    for leftover in (*Path(".snakemake/locks").glob("*.lock"), *Path(".snakemake/incomplete").rglob("*")):
        if leftover.is_file():
            leftover.unlink(missing_ok=True)


# ---- DVC ------------------------------------------------------------------------------------------------


def ask_dvc(wait: int, mend: bool) -> list[Step]:
    """Return every stage and pointer of the repository with its state, waiting for another DVC to finish.

    With `mend`, locks of dead processes are removed and a half-written dvc.lock gets its last good content back.
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
            if mend and Path("dvc.lock").exists():
                shutil.copyfile("dvc.lock", GOOD_LOCK)
            return steps
        except (LockError, RWLockFileCorruptedError, RWLockFileFormatError) as error:
            if mend and remove_dead_rwlock():
                continue
            if time.monotonic() > deadline:
                raise WorkflowError(f"DVC is busy in this repository; try again when it is done. {error}") from None
            time.sleep(1)
        except (YAMLSyntaxError, YAMLValidationError) as error:
            # DVC writes dvc.lock in place: killed meanwhile, it leaves half a file.
            if not (mend and GOOD_LOCK.exists() and "dvc.lock" in str(error)):
                raise WorkflowError(f"DVC cannot read a file; git can restore it. {error}") from None
            GOOD_LOCK.replace("dvc.lock")
        except DvcException as error:
            raise WorkflowError(f"DVC: {error}") from None


def describe(repo) -> list[Step]:
    """Return the steps of an open DVC repository."""
    from dvc.stage import PipelineStage

    def relative(path: str) -> str:
        return os.path.relpath(path, repo.root_dir)

    status = repo.status(check_updates=False)
    return [
        Step(
            name=stage.addressing,
            kind="stage" if isinstance(stage, PipelineStage) else "pointer",
            deps=sorted({relative(dep.fs_path) for dep in stage.deps if dep.protocol == "local" and not stage.frozen}),
            outs=[relative(out.fs_path) for out in stage.outs],
            why=explain(stage, status.get(stage.addressing, [])),
        )
        for stage in repo.index.stages
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
    import psutil

    path = Path(".dvc/tmp/rwlock")
    try:
        locks = json.loads(path.read_text())
        holders = [*locks.get("write", {}).values(), *(one for many in locks.get("read", {}).values() for one in many)]
    except FileNotFoundError:
        return False
    except ValueError:
        holders = []
    if any(psutil.pid_exists(holder["pid"]) for holder in holders):
        return False
    path.unlink(missing_ok=True)
    return True


def run_stage(name: str) -> int:
    """Run `dvc repro --single-item` on a stage, or record a pointer's new content; return the exit code.

    When DVC is killed, whatever it had started dies with it.
    """
    print_reasons(name)
    command = ["repro", "--single-item"]
    if name.endswith(".dvc"):
        # `repro` and `add` may move the data away and link it back from the cache; this never does.
        command = ["commit", "--force", "--no-relink"]
    process = subprocess.Popen(
        [sys.executable, "-c", SWIFT_DVC, "--wait-for-lock", *command, name],
        start_new_session=True,
    )
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, lambda received, _: os.killpg(process.pid, received))
    code = process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(run_stage(sys.argv[1]))
