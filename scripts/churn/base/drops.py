"""The list of drops, data/drops.yaml. A drop is one delivery of the five CSVs, named by its ISO date.

For dvc.yaml, which cannot work them out, the list also has the newest drop, and the drop before each.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from itertools import pairwise
from pathlib import Path

from churn.base.command import UserError
from churn.base.files import write_whole
from churn.base.reading import read_text
from churn.base.yaml_files import read_bounded, read_yaml

SOURCES = ("none", "demo", "own")
# The folder in data/drift that the first drop has before it.
START = "start"
RESTORE = "Restore it: git checkout {path}"


def read_drops(path: Path) -> list[date]:
    """Return the drops listed in data/drops.yaml, oldest first.

    Raises
    ------
    UserError
        When the list is missing, empty, or contains anything but dates.
    """
    _, drops = read_list(path)
    if not drops:
        raise UserError(f"{path} lists no drops. Add one: make ingest SOURCE=<folder of five CSVs>, or make demo.")
    return drops


def read_list(path: Path) -> tuple[str, list[date]]:
    """Return where the drops come from (none, demo or own) and the drops, oldest first; a missing list is empty.

    Raises
    ------
    UserError
        When the list is not a YAML mapping, names an unknown source, or contains anything but dates.
    """
    if not os.path.lexists(path):
        return "none", []
    if "<<<<<<< " in read_bounded(path):
        raise UserError(
            f"{path} holds the conflict markers of a merge. Keep the drops of both sides: delete only the lines with "
            "<<<<<<<, ======= and >>>>>>>."
        )
    try:
        listed = read_yaml(path) or {}
        source, drops = listed.get("source", "none"), listed.get("drops") or []
        days = sorted({parse_drop(str(drop)) for drop in drops})
    except (AttributeError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}). {RESTORE.format(path=path)}") from None
    if source not in SOURCES:
        raise UserError(f"{path}: source is {source!r}, but must be one of {', '.join(SOURCES)}.")
    return source, days


def write_list(path: Path, source: str, drops: Iterable[date]) -> None:
    """Write data/drops.yaml; the same drops give the same bytes."""
    drops = set(drops)
    count_outputs(path, drops)
    with write_whole(path, durable=True) as new:
        new.write_text(format_list(source, drops))


def update_list(path: Path) -> None:
    """Write the list again if it was edited by hand, or by a version that wrote less: then DVC cannot read dvc.yaml."""
    source, drops = read_list(path)
    if path.exists() and read_text(path) != format_list(source, drops):
        write_list(path, source, drops)
    else:
        count_outputs(path, drops)


def count_outputs(path: Path, drops: Iterable[date]) -> None:
    """Take listed drops out of .dvcignore, where they are if they were once withdrawn; DVC refuses such outputs."""
    ignore, listed = path.absolute().parents[1] / ".dvcignore", {str(day) for day in drops}
    lines = read_text(ignore, RESTORE.format(path=ignore)).splitlines() if ignore.exists() else []
    kept = [line for line in lines if not (line.startswith("/data/") and line.rpartition("/")[2] in listed)]
    if kept != lines:
        with write_whole(ignore, durable=True) as new:
            new.write_text("\n".join(kept) + "\n")


def merge_lists(base: Path, ours: Path, theirs: Path) -> None:
    """Write into `ours` the drops of both sides, without those that either side has removed since `base`."""
    then, (source, here), (other, there) = (read_list(path) for path in (base, ours, theirs))
    if here and there and source != other:
        raise UserError(f"One side lists {source} drops, the other {other} drops; they cannot be mixed.")
    kept = set(here) & set(there) | (set(here) ^ set(there)) - set(then[1])
    write_list(ours, source if source != then[0] else other, kept)


def format_list(source: str, drops: Iterable[date]) -> str:
    """Return the text of data/drops.yaml."""
    days = list(map(str, sorted(set(drops))))
    lines = "".join(f'\n  - "{day}"' for day in days)
    previous = "".join(f'\n  "{day}": "{before}"' for before, day in pairwise([START, *days]))
    return (
        f"source: {source}\ndrops:{lines or ' []'}\n"
        "# Written by the pipeline for dvc.yaml: the drop before each, and the newest.\n"
        f'previous:{previous or " {}"}\nnewest: "{days[-1] if days else ""}"\n'
    )


def parse_drop(text: str) -> date:
    """Return the date that names a drop; raise `UserError` unless it is written as YYYY-MM-DD."""
    with suppress(ValueError):
        day = date.fromisoformat(text)
        if day.isoformat() == text:
            return day
    raise UserError(f"Not a drop date: {text!r}. Use YYYY-MM-DD.")
