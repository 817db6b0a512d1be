"""The steps of the pipeline as the bridge sees them, and the plan: what the last look at all of them found."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from .state import PLAN, STATE, file_name, stamp, write_whole


@dataclass
class Step:
    """One step: what it reads, what it makes, and why it is stale (a line for each change; none while it is fresh)."""

    name: str
    kind: str
    deps: list[str]
    outs: list[str]
    why: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    forced: bool = False

    @property
    def makes(self) -> list[str]:
        """What its rule's outputs are: a pointer's rule brings the pointer up to date, not the data."""
        if self.kind == "pointer":
            return [self.name]
        return self.outs or [stamp(self.name)]

    @property
    def token(self) -> Path:
        """The file that tells Snakemake whether the step is stale; DVC would read a name that ends in .dvc."""
        return STATE / "tokens" / f"{file_name(self.name)}.token"

    @property
    def lock_file(self) -> str:
        """Where DVC writes down what a stage read and made."""
        folder = Path(self.name.partition(":")[0]).parent if ":" in self.name else Path()
        return str(folder / "dvc.lock")


def overlap(out: str, dep: str) -> bool:
    """Tell whether one path is the other, or lies in it."""
    return out == dep or out.startswith(f"{dep}/") or dep.startswith(f"{out}/")


def makers_of(dep: str, steps: list[Step]) -> list[Step]:
    """Return the steps that make a path, what lies in it, or what it lies in."""
    return [step for step in steps if any(overlap(out, dep) for out in step.outs)]


def write_plan(steps: list[Step]) -> None:
    """Keep the steps for the jobs, which ask nobody again."""
    write_whole(PLAN, json.dumps([vars(step) for step in steps]))


def read_plan() -> list[Step]:
    """Return the steps as the main Snakemake process found them."""
    return [Step(**step) for step in json.loads(PLAN.read_text())]


def planned(name: str) -> Step | None:
    """Return a step of the plan; None when no Snakemake has looked, or none knew it."""
    return next((step for step in read_plan() if step.name == name), None) if PLAN.exists() else None
