"""dvc.lock stage by stage: the block of one stage is replaced in the text, and the rest is neither parsed nor dumped.

DVC reads and dumps the whole file for each stage that ran, which costs more with every stage in it.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .state import write_whole

HEAD = "schema: '2.0'\nstages:\n"
# A stage's name is a line of its own, indented by two.
NAME_LINE = re.compile(r"^  (?! )(.+)\n", re.MULTILINE)
# It is quoted if YAML needs that.
NAME = re.compile(r"""'((?:[^']|'')*)':|([^\s'"?&*!|>%@`#{\[-](?:(?! #|: ).)*):""")
TAIL = re.compile(r"^[^ \n]", re.MULTILINE)
SECTION = re.compile(r"[a-z]+:\n")
# DVC refers from one stage to the value of another where a parameter is written so; such a file has no parts.
REFERENCE = re.compile(r"[&*]id\d{3}")


@dataclass
class Blocks:
    """The text of a dvc.lock in parts: head, then one block of lines for each stage, then what follows."""

    head: str
    stages: dict[str, str]
    tail: str

    def whole(self, order: list[str]) -> str:
        """Return the text with the stages in this order; those that it does not name come last, as they stood."""
        names = dict.fromkeys([*(name for name in order if name in self.stages), *self.stages])
        return self.head + "".join(self.stages[name] for name in names) + self.tail


def read_blocks(path: Path) -> Blocks | None:
    """Return the blocks of a dvc.lock, None if it is not laid out as DVC writes it; a missing file has no stages."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Blocks(HEAD, {}, "")
    head, found, rest = text.partition("\nstages:\n")
    if not found or REFERENCE.search(text):
        return None
    tail = TAIL.search(rest)
    body = rest[: tail.start()] if tail else rest
    lines = list(NAME_LINE.finditer(body))
    starts = [line.start() for line in lines]
    if not body.endswith("\n") or starts[:1] not in ([0], []) or (tail and not SECTION.match(rest, tail.start())):
        return None
    stages = {}
    for line, stop in zip(lines, [*starts[1:], len(body)], strict=True):
        name = NAME.fullmatch(line[1])
        if not name:
            return None
        stages[name[2] or name[1].replace("''", "'")] = body[line.start() : stop]
    return Blocks(head + found, stages, rest[len(body) :])


def write_block(path: Path, name: str, entry: dict[str, Any], order: list[str]) -> bool | None:
    """Record what a stage read and made; return whether that changed the file, None if this cannot write it.

    Parameters
    ----------
    path
        The dvc.lock.
    name
        The stage's name in the dvc.yaml beside it.
    entry
        What DVC records for it.
    order
        The names of all stages of that dvc.yaml: whichever of them ends first, the same records are the same bytes.
    """
    blocks = read_blocks(path)
    if blocks is None:
        return None
    before = blocks.stages.get(name)
    blocks.stages[name] = block_of(name, entry)
    if blocks.stages[name] != before:
        write_whole(path, blocks.whole(order))
    return blocks.stages[name] != before


def block_of(name: str, entry: dict[str, Any]) -> str:
    """Return a stage's lines in dvc.lock: DVC's own text for a file with this stage alone, without its first line."""
    from dvc.utils.serialize import dumps_yaml

    return str(dumps_yaml({"stages": {name: unshared(entry)}}).partition("\n")[2])


def unshared(value: Any) -> Any:
    """Return a copy in which no two values are one object: YAML would write the second as a reference to the first."""
    if isinstance(value, dict):
        return {key: unshared(item) for key, item in value.items()}
    return [unshared(item) for item in value] if isinstance(value, list) else value
