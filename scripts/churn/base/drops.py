"""The list of drops, data/drops.yaml. A drop is one delivery of the five CSVs, named by its ISO date."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from pathlib import Path

import yaml

from churn.base.command import UserError
from churn.base.files import write_whole

SOURCES = ("none", "demo", "own")


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
    if path.exists() and "<<<<<<< " in path.read_text():
        raise UserError(
            f"{path} holds the conflict markers of a merge. Keep the drops of both sides: delete only the lines with "
            "<<<<<<<, ======= and >>>>>>>."
        )
    try:
        listed = (yaml.safe_load(path.read_text()) if path.exists() else None) or {}
        source, drops = listed.get("source", "none"), listed.get("drops") or []
        days = sorted({parse_drop(str(drop)) for drop in drops})
    except (yaml.YAMLError, AttributeError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}). Restore it: git checkout {path}") from None
    if source not in SOURCES:
        raise UserError(f"{path}: source is {source!r}, but must be one of {', '.join(SOURCES)}.")
    return source, days


def write_list(path: Path, source: str, drops: Iterable[date]) -> None:
    """Write data/drops.yaml; the same drops give the same bytes."""
    lines = "".join(f'\n  - "{day}"' for day in sorted(set(drops)))
    with write_whole(path) as new:
        new.write_text(f"source: {source}\ndrops:{lines or ' []'}\n")


def parse_drop(text: str) -> date:
    """Return the date that names a drop; raise `UserError` unless it is written as YYYY-MM-DD."""
    with suppress(ValueError):
        day = date.fromisoformat(text)
        if day.isoformat() == text:
            return day
    raise UserError(f"Not a drop date: {text!r}. Use YYYY-MM-DD.")
