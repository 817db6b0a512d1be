"""The steps of the pipeline as the bridge sees them, and the plan, which tells the jobs what the main process found."""

import json
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import Literal

from .state import PLAN, TOKENS, file_name, some, stamp, stop, write_whole

# The part of DVC's name of a stage that says where it is defined, if not in the root.
DEFINITION = re.compile(r"^(.*?\.ya?ml):")


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
    reasons
        Why it runs: `why`, and the steps before it that will change its inputs.
    missing
        Data that DVC tracks and that is not here, and how to get it: a command, or "" if a stage can make it again.
    needed
        Why it runs although it is fresh: steps that run read what of its data is missing.
    pulls
        Missing data that it reads, and pulls before it runs.
    stamped
        Whether a stamp is the only output of its rule; otherwise, what it makes is.
    reads
        What it reads in folders that it depends on, where that is not all of them; None if it is.
    """

    name: str
    kind: Literal["stage", "pointer", "release"]
    deps: list[str]
    outs: list[str]
    why: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    forced: bool = False
    reasons: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    needed: list[str] = field(default_factory=list)
    pulls: list[str] = field(default_factory=list)
    stamped: bool = False
    reads: list[str] | None = None

    def reads_of(self, dep: str, paths: Iterable[str]) -> list[str]:
        """Return which of some paths it reads by one of its dependencies."""
        parts = None if self.reads is None else [part for part in self.reads if part.startswith(f"{dep}/")]
        return [
            path for path in paths if overlap(path, dep) and (not parts or any(overlap(path, part) for part in parts))
        ]

    @property
    def makes(self) -> list[str]:
        """The outputs of its rule: a pointer's rule updates the pointer, not the data."""
        if self.stamped:
            return [stamp(self.name)]
        if self.kind == "pointer":
            return [self.name]
        return self.outs or [stamp(self.name)]

    @property
    def runs(self) -> bool:
        """Whether its job runs."""
        return bool(self.reasons or self.needed)

    @property
    def token(self) -> Path:
        """The file whose time tells Snakemake whether the step is stale; DVC would read a name that ends in .dvc."""
        return TOKENS / f"{file_name(self.name)}.token"

    @property
    def log_head(self) -> str:
        """The first lines of its job's log: why it runs."""
        return "".join(f"Why: {line}\n" for line in [*self.reasons, *self.needed])

    @property
    def definition(self) -> str:
        """The dvc.yaml of a stage."""
        found = DEFINITION.match(self.name)
        return found[1] if found else "dvc.yaml"

    @property
    def group(self) -> str:
        """DVC's name of a stage without the item, if it is one of many."""
        where = DEFINITION.match(self.name)
        start = where.end() if where else 0
        return self.name[:start] + (self.name[start:].rpartition("@")[0] or self.name[start:])

    @property
    def lock_file(self) -> str:
        """Where DVC records what a stage read and made."""
        return str(Path(self.definition).with_suffix(".lock"))


def overlap(out: str, dep: str) -> bool:
    """Return whether two paths are the same, or one contains the other."""
    return out == dep or out.startswith(f"{dep}/") or dep.startswith(f"{out}/")


class Makers:
    """Which steps make what, by path."""

    def __init__(self, steps: Iterable[Step]):
        self._by_out: dict[str, list[Step]] = defaultdict(list)
        for step in steps:
            for out in step.outs:
                self._by_out[out].append(step)
        self._outs = sorted(self._by_out)

    def of(self, dep: str) -> list[Step]:
        """Return the steps that make a path, something in it, or a folder that contains it."""
        found = {out for out in (dep, *map(str, PurePosixPath(dep).parents)) if out in self._by_out}
        below = bisect_left(self._outs, f"{dep}/")
        while below < len(self._outs) and self._outs[below].startswith(f"{dep}/"):
            found.add(self._outs[below])
            below += 1
        return list({step.name: step for out in sorted(found) for step in self._by_out[out]}.values())


def find_reasons(steps: dict[str, Step], makers: Makers) -> list[Step]:
    """Work out why each step runs: what changed, and which steps before it will change its inputs.

    Returns
    -------
    list
        The steps, each after those whose outputs it reads.
    """
    before = {name: [maker.name for dep in step.deps for maker in makers.of(dep)] for name, step in steps.items()}
    # A step may read a folder that it fills itself.
    sorter = TopologicalSorter({name: {maker for maker in names if maker != name} for name, names in before.items()})
    order = list(sorter.static_order())
    for name in order:
        step = steps[name]
        stale = [maker for maker in dict.fromkeys(before[name]) if maker != name and steps[maker].reasons]
        forced = ["Snakemake was asked to run it"] if step.forced else []
        step.reasons = [*step.why, *forced, *([f"reads what {some(stale)} will make"] if stale else [])]
    return [steps[name] for name in order]


def write_plan(steps: Iterable[Step]) -> None:
    """Write the plan, which the jobs follow: they do not decide again."""
    write_whole(PLAN, json.dumps([vars(step) for step in steps]))


def read_plan() -> dict[str, Step]:
    """Return the steps as the main Snakemake process found them, by name; empty if none has."""
    try:
        steps = [Step(**step) for step in json.loads(PLAN.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError):
        stop(f"{PLAN} is damaged. Run snakemake --dry-run: it writes the plan again.")
    return {step.name: step for step in steps}
