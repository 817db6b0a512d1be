"""All stages and pointers of a repository as one rule, for `dvc.smk`."""

import shlex
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from .bridge import Freshness
from .options import OPTIONS, read_options
from .state import STATE, command, name_of, stamp
from .steps import Step

# DVC allows no stage of this name.
EVERYTHING = "freshness.all"


class AllStages(Freshness):
    """The stages of every dvc.yaml, each with a stamp as the only output of its job.

    Snakemake removes and watches the outputs of a rule; the stages' own outputs are left to DVC.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        The global of that name in the Snakefile.
    """

    stamped = True

    def __init__(self, workflow: Any):
        super().__init__(workflow)
        self.command = shlex.join(command())
        self._options = read_options(Path(OPTIONS), self.steps)
        self._words = sorted({word for options in self._options.values() for word in options.alone})
        for word in self._words:
            workflow.register_resource(alone(word), 1)

    @cached_property
    def targets(self) -> dict[str, list[str]]:
        """The stamps behind each name that a user can give: a stage, a group of stages, a dvc.yaml, a pointer.

        EVERYTHING has those of all stages; pointers follow where stages need them.
        """
        targets: dict[str, list[str]] = {EVERYTHING: []}
        for step in self.steps.values():
            names = [step.name]
            if step.kind == "stage":
                names += [step.group, step.definition, EVERYTHING]
            for name in dict.fromkeys(names):
                targets.setdefault(name, []).append(stamp(step.name))
        return targets

    @property
    def resources(self) -> dict[str, Callable[[Any], int]]:
        """What each stage uses of memory and of what is never shared."""
        uses = {alone(word): self._use_of(word) for word in self._words}
        if any(options.mem_mb for options in self._options.values()):
            uses["mem_mb"] = lambda wildcards: self._options[self.name(wildcards)].mem_mb
        return uses

    def name(self, wildcards: Any) -> str:
        """Return DVC's name of the step of a job."""
        return name_of(Path(wildcards.name))

    def threads(self, wildcards: Any) -> int:
        """Return how many cores a stage uses."""
        return self._options[self.name(wildcards)].threads

    def log(self, name: str) -> str:
        """Return the file with what a stage prints."""
        return str(STATE / "logs" / f"{name}.log")

    def _inputs(self, name: str) -> list[str]:
        return super()._inputs(name_of(Path(name)))

    def _use_of(self, word: str) -> Callable[[Any], int]:
        return lambda wildcards: int(word in self._options[self.name(wildcards)].alone)

    def _is_named(self, step: Step, names: set[str]) -> bool:
        return any(stamp(step.name) in self.targets.get(name, ()) for name in names)


def alone(word: str) -> str:
    """Return the name of Snakemake's resource for a word of those that never run together."""
    return f"alone_{word}"
