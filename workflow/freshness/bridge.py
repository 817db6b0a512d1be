"""DVC knows which steps are stale; Snakemake runs those, in parallel.

A *stage* is a step of dvc.yaml, a *pointer* a `.dvc` file, a *release step* a rule that acts on the outside world and
that DVC does not know. Each step has one token file, an input of its rule, which tells Snakemake whether the step is
stale: its time is now while the step is stale, and 1970 while it is fresh. No other timestamp counts.

In a Snakefile:

    sys.path.append(workflow.basedir)
    from workflow.freshness import Freshness

    fresh = Freshness(workflow)

    rule clean:
        input: fresh.stage("clean@{name}")
        output: "clean/{name}.parquet"
        shell: "python -m workflow.freshness stage clean@{wildcards.name}"
"""

import contextlib
import errno
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from snakemake.settings.enums import RerunTrigger

from .dvc_process import DvcProcess
from .locks import lock_folder
from .look import last_look
from .needs import find_needs, with_those_before
from .progress import show_lines
from .release_steps import changes, make_receipt, read_receipt
from .state import IGNORE, OUTCOMES, PLAN, STATE, explain, some, stamp, stop, write_whole
from .steps import Makers, Step, find_reasons, overlap, read_plan, write_plan
from .why import summarize_outcomes

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Freshness:
    """Which steps are stale: the main Snakemake process asks DVC once.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        The global of that name in the Snakefile.
    wait
        Seconds to wait while another DVC works in the repository.
    hint
        How to get data that DVC tracks and that is missing; without it, the error message names DVC's command.

    With `--config pull=true`, a step that runs pulls what it reads and is missing.
    """

    stamped = False

    def __init__(self, workflow: Any, wait: int = 60, hint: str = ""):
        self.workflow, self._hint = workflow, hint
        self.pull = str(workflow.globals["config"].get("pull", "")).lower() in ("1", "true", "yes")
        # Jobs, and the stages that DVC runs in them, use the Python that has Snakemake and DVC.
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self._dvc: DvcProcess | None = None
        self._makers: Makers | None = None
        # A job's own Snakemake parses the Snakefile again: it uses the plan of the main one.
        self.steps = self._ask(wait) if workflow.is_main_process else read_plan()
        if workflow.is_main_process:
            show_lines(workflow, self.steps)

    def stage(self, name: str, reads: list[str] | None = None) -> Callable[[Any], list[str]]:
        """Return the input function of the rule that runs a stage or updates a pointer.

        Parameters
        ----------
        name
            DVC's name for it, with the rule's wildcards: "train", "clean@{name}", "data/{name}.csv.dvc".
        reads
            What it reads in folders that it depends on, if not all: only that need be here.
        """
        if "{" not in name and name not in self.steps:
            stop(f"DVC knows no stage or pointer {name!r}; `dvc stage list --all` shows those it knows.")
        if reads is not None and self.workflow.is_main_process:
            self.steps[name].reads = reads
        return lambda wildcards: self._inputs(name.format(**wildcards))

    def stamp(self, name: str) -> str:
        """Return the output of the rule of a stage that has none; the name may have the rule's wildcards."""
        return stamp(name).replace("%7B", "{").replace("%7D", "}")

    def release(
        self,
        name: str,
        uses: list[str],
        makes: list[str],
        settings: dict[str, str],
        lost: Callable[[], str] = lambda: "",
    ) -> Callable[[Any], list[str]]:
        """Return the input function of the rule of a release step.

        Parameters
        ----------
        name
            The step's name, as in `python -m workflow.freshness release NAME COMMAND ...`.
        uses
            The files and folders that it depends on; their content counts.
        makes
            The rule's outputs.
        settings
            What else it depends on, such as the address of a registry.
        lost
            Returns why what the step made outside no longer counts, "" if it does; asked only if nothing else changed.
        """
        if self.workflow.is_main_process:
            with writing_state():
                changed = changes(make_receipt(uses, settings, self._recorded), read_receipt(name), settings)
            if not changed and (reason := lost()):
                changed = [reason]
            self.steps[name] = Step(name, "release", uses, makes, changed, settings)
        return lambda wildcards: self._inputs(name)

    def print_summary(self) -> None:
        """Print in one line how many stages ran and which did not have to; for `onsuccess`."""
        print(summarize_outcomes(), file=sys.stderr)

    def _ask(self, wait: int) -> dict[str, Step]:
        with writing_state():
            self._wait, self._lock = wait, lock_folder()
            # If this run finds nothing out, what an earlier one found must not be taken for it.
            PLAN.unlink(missing_ok=True)
            answer = last_look()
            # Without pulling, the files of missing folders may have been unknown.
            if answer is None or (
                self.pull and not answer["pull"] and any(step["missing"] for step in answer["steps"])
            ):
                self._dvc = DvcProcess(status=True, wait=wait, pull=self.pull)
                answer = self._dvc.answer()
            if "refusal" in answer:
                stop(answer["refusal"])
            self._recorded = answer["recorded"]
            steps = {step["name"]: Step(**{**step, "stamped": self.stamped}) for step in answer["steps"]}
            remove_leftovers()
            if not IGNORE.exists():
                # Neither git nor DVC need look into what a run keeps.
                write_whole(IGNORE, "*\n")
        return steps

    def _inputs(self, name: str) -> list[str]:
        """Return the token and what other steps make; files that no step makes are covered by the token."""
        from snakemake.io import ancient

        if name not in self.steps:
            return [f"a stage or pointer {name!r} in DVC"]
        step, makers = self.steps[name], self._decide()
        inputs = [str(step.token)]
        for dep in step.deps:
            for maker in makers.of(dep):
                made = [path for path in maker.makes if path not in maker.outs or overlap(path, dep)]
                if maker.reasons or (maker.needed and step.runs):
                    # Plain, not ancient: if all that a job takes from a running job is ancient, Snakemake ignores its
                    # other reasons to run, the token included.
                    inputs += made
                elif maker.kind != "pointer":
                    inputs += [ancient(path) for path in made if path not in maker.missing]
        return list(dict.fromkeys(inputs))

    def _decide(self) -> Makers:
        """Decide which steps will run, late, when all rules and the user's targets are known; return who makes what."""
        if self._makers is None:
            self._makers = Makers(self.steps.values())
            if self.workflow.is_main_process:
                # DVC's content decides, not Snakemake's own records.
                self.workflow.dag_settings.rerun_triggers = frozenset({RerunTrigger.MTIME})
                for step in self.steps.values():
                    step.forced = self._is_forced(step)
                order = find_reasons(self.steps, self._makers)
                self._get_missing(order, self._makers)
                with writing_state():
                    for step in self.steps.values():
                        write_token(step)
                    write_plan(self.steps.values())
                    self._serve_jobs()
                self._lift_limit_of_jobs()
        return self._makers

    def _get_missing(self, order: list[Step], makers: Makers) -> None:
        """Plan who pulls or makes the missing data that is needed; stop if the user has to get it."""
        asked = self._asked()
        for step in asked or ():
            if step.missing and step.kind == "stage" and not (step.reasons or step.stamped):
                step.needed.append(f"{some(step.missing)} is asked for, and missing here")
                step.pulls += step.missing if self.pull else []
        wanted = set(self.steps) if asked is None else with_those_before(asked, makers)
        refused = find_needs(order, makers, wanted, self.pull)
        if refused:
            ways = list(dict.fromkeys(refused.values()))
            if self._hint and all(way.startswith("dvc pull") for way in ways):
                ways = [self._hint]
            elif not self._hint:
                ways.append("or only what steps that run read: --config pull=true")
            stop(f"DVC tracks {some(refused)}, but it is not here, and steps that run read it. Get it: {some(ways)}")
        missing = [path for step in order for path in step.missing if step.name in wanted and not step.runs]
        if missing:
            print(f"Missing here, but no step that runs reads it: {some(missing)}", file=sys.stderr)

    def _asked(self) -> list[Step] | None:
        """Return the steps that the user asked for, None where the rules do not tell."""
        settings, found = self.workflow.dag_settings, []
        made = {path: step for step in self.steps.values() for path in step.makes}
        for target in settings.targets or [self.workflow.default_target]:
            if not self.workflow.is_rule(target):
                paths = [os.path.relpath(target)]
            elif (rule := self.workflow.get_rule(target)).output:
                paths = [path for path in made if rule.is_producer(path)]
            else:
                paths = [str(path) for path in rule.input if not callable(path)]
                if len(paths) < len(rule.input):
                    return None
            if not paths or not made.keys() >= set(paths):
                return None
            found += [made[path] for path in paths]
        return found

    def _serve_jobs(self) -> None:
        """Have DVC loaded for the jobs, if there are any; its process ends with this one."""
        stale = any(step.runs for step in self.steps.values() if step.kind != "release")
        # Jobs that a cluster starts load DVC themselves: what they use is counted where they run.
        if stale and self.workflow.local_exec and not self.workflow.dryrun:
            self._dvc = self._dvc or DvcProcess(status=False, wait=self._wait, pull=self.pull)
        elif self._dvc:
            self._dvc.close()

    def _lift_limit_of_jobs(self) -> None:
        """Lift Snakemake's limit of 100 jobs a second, which is for clusters.

        To keep it, the scheduler looks at all jobs again a second after it has looked at them: the longer a run, the
        more often.
        """
        if self.workflow.scheduling_settings and self.workflow.local_exec:
            self.workflow.scheduling_settings.max_jobs_per_timespan = None

    def _is_forced(self, step: Step) -> bool:
        settings = self.workflow.dag_settings
        asked = set(settings.forcerun) | (set(settings.targets) if settings.forcetargets else set())
        return bool(settings.forceall) or self._is_named(step, asked)

    def _is_named(self, step: Step, names: set[str]) -> bool:
        rules = [self.workflow.get_rule(name) for name in names if self.workflow.is_rule(name)]
        return any(out in names or any(rule.is_producer(out) for rule in rules) for out in step.makes)


@contextlib.contextmanager
def writing_state() -> Iterator[None]:
    """Turn an error of the disk, of a file or of memory into one message."""
    try:
        yield
    except OSError as error:
        # Snakemake's own log is on the same disk: it would print a traceback for each line.
        logging.raiseExceptions = False
        verb = "write" if error.errno in DISK_ERRORS else "read or write"
        stop(f"Cannot {verb} {error.filename or STATE}: {error.strerror}. Nothing was run.")
    except (MemoryError, UnicodeDecodeError) as error:
        stop(f"{explain(error)} Nothing was run.")


def write_token(step: Step) -> None:
    """Make a stale step's token newer than every output, and a fresh step's token older."""
    now = time.time()
    # New content each time: Snakemake ignores a newer input whose checksum it has recorded.
    if step.why or step.needed or (step.forced and step.stamped):
        write_whole(step.token, "\n".join([*step.why, *step.needed, str(time.time_ns())]))
    elif not step.token.exists() or step.token.stat().st_mtime:
        write_whole(step.token, "fresh")
        os.utime(step.token, (0, 0))
    mark = Path(stamp(step.name))
    if not step.runs and str(mark) in step.makes and not mark.exists():
        write_whole(mark, "")
    for out in map(Path, step.makes):
        # An output from the future would hide the token, and Snakemake would refuse what is made from it.
        if out.exists() and out.lstat().st_mtime >= now:
            os.utime(out, (now - 1, now - 1), follow_symlinks=False)


def remove_leftovers() -> None:
    """Remove the last run's outcomes, and what a killed Snakemake left: DVC decides whether an output is complete."""
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
