"""What a user sees of a run: a line for each finished step, and a bar with the time left where there is a terminal.

Snakemake's own log file has all the rest. `--verbose` and `--printshellcmds` show Snakemake's own lines instead.
"""

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.logging import logger, show_logs
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from .state import TOKENS, name_of, outcome_file
from .steps import Step

# Snakemake's account of how it works; the bar and the lines say what of it matters.
HIDDEN = {LogEvent.RUN_INFO, LogEvent.RESOURCES_INFO, LogEvent.JOB_STARTED, LogEvent.SHELLCMD, LogEvent.PROGRESS}
HIDDEN_WORDS = (
    "Select jobs",
    "Execute ",
    "Building DAG",
    "Using shell",
    "Conda env",
    "Complete log",
    "Elapsed",
    "Reasons:",
)
# Snakemake asks for its own records of what made an output; here, DVC has them.
NO_RECORD = "missing provenance"
NAME_WIDTH = 44
# Asked for, these leave nothing to show.
QUIET = {Quietness.ALL, Quietness.PROGRESS}


@dataclass
class Running:
    """A job that has begun: the step or rule that it runs, when it began, and whether it makes anything."""

    name: str
    begin: float
    makes: bool


class Lines(logging.Handler):
    """The handler of Snakemake's log records that takes the place of its default one for the terminal.

    Parameters
    ----------
    plain
        Snakemake's own handler, which prints what is not said here: warnings, errors, the end.
    steps
        The steps of the run by name.
    workflow : snakemake.workflow.Workflow
        It knows, late, whether this is a dry run: then each step is shown with its reasons.
    """

    def __init__(self, plain: Any, steps: dict[str, Step], workflow: Any):
        super().__init__()
        self._plain, self._steps, self._workflow = plain, steps, workflow
        self._running: dict[int, Running] = {}
        self._done = self._total = 0
        self._bar: Any = None

    def emit(self, record: logging.LogRecord) -> None:
        """Show what of a record a user wants to see."""
        event, about = getattr(record, "event", None), vars(record)
        if event is LogEvent.JOB_INFO:
            self._begin(about)
        elif event is LogEvent.JOB_FINISHED:
            self._finish(about["job_id"])
        elif event is LogEvent.JOB_ERROR:
            self._fail(about)
        elif event is LogEvent.RUN_INFO and not self._workflow.dryrun:
            self._total = about["stats"]["total"]
            self._show_bar()
        elif not self._is_hidden(event, about):
            with self._without_bar():
                self._plain.handle(record)
            if about.get("exception") == "MissingRuleException" and any(step.stamped for step in self._steps.values()):
                self._print("Targets are stages, groups of stages, and .dvc files: dvc stage list --all")

    def close(self) -> None:
        """Remove the bar."""
        if self._bar:
            self._bar.stop()
        super().close()

    def _is_hidden(self, event: LogEvent | None, about: dict[str, Any]) -> bool:
        if event is LogEvent.ERROR:
            # The command of a failed job and its exit code: the line of the step has said that it failed.
            return about.get("exception") == "RuleException" and "CalledProcessError" in about["msg"]
        words = str(about["msg"]).strip()
        return event in HIDDEN or (event is None and (words.startswith(HIDDEN_WORDS) or NO_RECORD in words))

    def _begin(self, about: dict[str, Any]) -> None:
        tokens = [Path(path) for path in about["input"] if Path(path).parent == TOKENS]
        name = name_of(tokens[0].with_suffix("")) if tokens else about["rule_name"]
        self._running[about["jobid"]] = Running(name, time.monotonic(), makes=bool(about["output"]))
        if self._workflow.dryrun and tokens:
            self._print("\n    ".join([name, *self._steps[name].reasons]))

    def _finish(self, number: int) -> None:
        job = self._running.pop(number)
        self._done += 1
        outcome = outcome_file(job.name)
        if job.makes:
            self._print(f"{self._line(job)}  {outcome.read_text() if outcome.exists() else 'ran'}")
        if self._bar:
            self._bar.update(self._task, completed=self._done)

    def _fail(self, about: dict[str, Any]) -> None:
        job = self._running.pop(about["jobid"], Running(about["rule_name"], time.monotonic(), makes=True))
        lines = show_logs(about["log"]) if self._plain.formatter.show_failed_logs else about["log"]
        self._print("\n".join([f"{self._line(job)}  FAILED", f"Error in rule {about['rule_name']}", *lines]))

    def _line(self, job: Running) -> str:
        seconds = time.monotonic() - job.begin
        return f"{self._done:>{len(str(self._total))}}/{self._total}  {job.name:<{NAME_WIDTH}} {seconds:7.1f} s"

    def _print(self, text: str) -> None:
        if self._bar:
            self._bar.console.print(text)
        else:
            print(text, file=self._plain.stream, flush=True)

    def _show_bar(self) -> None:
        if not self._plain.is_tty:
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            BarColumn(),
            TextColumn("{task.completed} of {task.total} steps,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(file=self._plain.stream, soft_wrap=True, highlight=False, markup=False, emoji=False),
            transient=True,
        )
        self._task = self._bar.add_task("", total=self._total)
        self._bar.start()

    @contextlib.contextmanager
    def _without_bar(self) -> Iterator[None]:
        if self._bar:
            self._bar.stop()
        yield
        if self._bar:
            self._bar.start()


def show_lines(workflow: Any, steps: dict[str, Step]) -> None:
    """Let a run print a line for each step in place of Snakemake's own lines, unless more or nothing is asked for."""
    settings = workflow.output_settings
    for plain in list(logger.handlers):
        if plain.name == "DefaultStreamHandler" and not (
            settings.verbose or settings.printshellcmds or settings.debug_dag or QUIET & set(settings.quiet or ())
        ):
            logger.removeHandler(plain)
            logger.addHandler(Lines(plain, steps, workflow))
