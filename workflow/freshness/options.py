"""The optional file freshness.yaml: what stages use of the machine, and which never run together."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .state import stop
from .steps import Step

OPTIONS = "freshness.yaml"
EXAMPLE = "threads: 4, mem_mb: 8000, alone: gpu"
LEAST = {"threads": 1, "mem_mb": 0}


@dataclass(frozen=True)
class Options:
    """What a stage uses.

    Attributes
    ----------
    threads
        Cores.
    mem_mb
        Megabytes of memory, 0 if it does not matter.
    alone
        Words; stages that share a word never run together.
    """

    threads: int = 1
    mem_mb: int = 0
    alone: tuple[str, ...] = ()


def read_options(path: Path, steps: dict[str, Step]) -> dict[str, Options]:
    """Return the options of each stage and pointer; the file names stages, or groups of them (before the @).

    What it says of a stage counts before what it says of the group. The process ends with a message when the file names
    what DVC does not know, or an option that there is not.
    """
    options, given = dict.fromkeys(steps, Options()), _read(path)
    for key in sorted(given, key=lambda key: key in steps):
        names = [name for name, step in steps.items() if key in (name, step.group)]
        if not names:
            stop(f"{path} names {key!r}, but DVC knows no such stage; see `dvc stage list --all`.")
        found = _check(path, key, given[key])
        for name in names:
            options[name] = replace(options[name], **found)
    return options


def _check(path: Path, key: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        stop(f"{path}: {key} has {given!r}, not options such as {EXAMPLE}.")
    found = dict(given)
    if isinstance(found.get("alone"), str):
        found["alone"] = [found["alone"]]
    for option, value in found.items():
        least = LEAST.get(option)
        is_number = isinstance(value, int) and not isinstance(value, bool) and least is not None and value >= least
        is_words = (
            option == "alone"
            and isinstance(value, list)
            and all(isinstance(word, str) and word.isidentifier() for word in value)
        )
        if not is_number and not is_words:
            stop(f"{path}: {key} has {option}: {value!r}. Options are {EXAMPLE}.")
    if "alone" in found:
        found["alone"] = tuple(found["alone"])
    return found


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        stop(f"{path} is not YAML: {error}")
    if not isinstance(content or {}, dict):
        stop(f"{path} is not a list of stages with options, as in `train: {{{EXAMPLE}}}`.")
    return content or {}
