"""The steps of the pipeline as the bridge sees them, and the plan, which tells the jobs what the main process found."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .state import PLAN, STATE, file_name, stamp, write_whole


@dataclass
class Step:
    """A stage of dvc.yaml, a pointer (a `.dvc` file) or a release step.

    Attributes
    ----------
    name
        DVC's name of a stage or pointer; the name of a release step in the Snakefile.
    deps, outs
        The files and folders that it reads and makes, relative to the repository.
    why
        A line for each change that makes it stale; empty while it is fresh.
    settings
        The settings of a release step.
    forced
        Whether Snakemake was asked to run it in any case.
    """

    name: str
    kind: Literal["stage", "pointer", "release"]
    deps: list[str]
    outs: list[str]
    why: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    forced: bool = False

    @property
    def makes(self) -> list[str]:
        """The outputs of its rule: a pointer's rule updates the pointer, not the data."""
        if self.kind == "pointer":
            return [self.name]
        return self.outs or [stamp(self.name)]

    @property
    def token(self) -> Path:
        """The file whose time tells Snakemake whether the step is stale; DVC would read a name that ends in .dvc."""
        return STATE / "tokens" / f"{file_name(self.name)}.token"

    @property
    def lock_file(self) -> str:
        """Where DVC records what a stage read and made."""
        folder = Path(self.name.partition(":")[0]).parent if ":" in self.name else Path()
        return str(folder / "dvc.lock")


def overlap(out: str, dep: str) -> bool:
    """Return whether two paths are the same, or one contains the other."""
    return out == dep or out.startswith(f"{dep}/") or dep.startswith(f"{out}/")


def makers_of(dep: str, steps: list[Step]) -> list[Step]:
    """Return the steps that make a path, something in it, or a folder that contains it."""
    return [step for step in steps if any(overlap(out, dep) for out in step.outs)]


def write_plan(steps: list[Step]) -> None:
    """Write the plan, which the jobs read: they do not ask DVC again."""
    write_whole(PLAN, json.dumps([vars(step) for step in steps]))


def read_plan() -> list[Step]:
    """Return the steps as the main Snakemake process found them."""
    return [Step(**step) for step in json.loads(PLAN.read_text())]


def planned(name: str) -> Step | None:
    """Return a step of the plan, None if there is no plan or no such step in it."""
    return next((step for step in read_plan() if step.name == name), None) if PLAN.exists() else None
