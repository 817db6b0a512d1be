"""The optional file freshness.yaml: what stages use of the machine, and which never run together."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .state import stop

OPTIONS = "freshness.yaml"
KEYS: dict[str, Any] = {"threads": int, "mem_mb": int, "alone": (str, list)}


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


def read_options(path: Path, names: Iterable[str]) -> dict[str, Options]:
    """Return the options of each stage and pointer; the file names stages, or groups of them (before the @).

    The process ends with a message when the file names what DVC does not know, or an option that there is not.
    """
    options = dict.fromkeys(names, Options())
    for key, given in _read(path).items():
        named = [name for name in options if key in (name, name.partition("@")[0])]
        if not named:
            stop(f"{path} names {key!r}, but DVC knows no such stage; see `dvc stage list --all`.")
        for option, value in given.items() if isinstance(given, dict) else [(given, None)]:
            if option not in KEYS or not isinstance(value, KEYS[option]) or isinstance(value, bool):
                stop(f"{path}: {key} has {option!r}: {value!r}. Options are threads: 4, mem_mb: 8000, alone: gpu.")
        words = given.get("alone", [])
        for name in named:
            options[name] = Options(
                threads=given.get("threads", 1),
                mem_mb=given.get("mem_mb", 0),
                alone=(words,) if isinstance(words, str) else tuple(words),
            )
    return options


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    except yaml.YAMLError as error:
        stop(f"{path} is not YAML: {error}")
    if not isinstance(content or {}, dict):
        stop(f"{path} is not a list of stages with options, as in `train: {{threads: 4}}`.")
    return content or {}
