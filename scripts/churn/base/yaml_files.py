"""Read a YAML file that users write: a regular file of bounded size that does not grow when it is read."""

import os
import stat
from pathlib import Path
from typing import Any

import yaml

from churn.base.command import UserError
from churn.base.printable import printable

MAX_BYTES, MAX_VALUES, MAX_DIGITS, MAX_SHOWN = 1 << 20, 50_000, 1000, 300


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file, None if it is empty.

    Raises
    ------
    FileNotFoundError
        When there is nothing at the path.
    UserError
        When it is a link or no regular file, is too large, is not valid YAML, or has aliases that make it large.
    """
    text = read_bounded(path)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _count(node, {}) > MAX_VALUES:
            raise UserError(f"{path} has more than {MAX_VALUES:,} values, its aliases resolved. Write fewer.")
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {shorten(str(error))}") from None
    except RecursionError:
        raise UserError(f"{path} is nested too deeply, or contains itself. Write it without such nesting.") from None
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        # Such as 2026-02-30, which looks like a date, a number of a thousand digits, or `!!bool x`.
        raise UserError(f"{path} has a value that cannot be read: {shorten(str(error))}. Correct it.") from None


def read_bounded(path: Path) -> str:
    """Return the text of a file that users write; see `read_yaml` for the errors."""
    try:
        # Opening a FIFO would wait for somebody who writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = "it is a link" if path.is_symlink() else error.strerror
        raise UserError(f"{path} cannot be read ({reason}). It must be a regular file of this repository.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UserError(f"{path} is not a regular file. Replace it: git checkout {path}")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UserError(f"{path} is larger than {MAX_BYTES >> 20} MB, which is the limit of a file of settings.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: byte {error.start + 1} is wrong. Save it as UTF-8.") from None


def shorten(text: str) -> str:
    """Return the start of a message, on one line and without characters that control a terminal."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]} ..."


def _count(node: yaml.Node, known: dict[yaml.Node, int]) -> int:
    """Return how many values a node has when its aliases are resolved; one that contains itself has no end."""
    if node not in known:
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            inner = [one for pair in node.value for one in pair]
        elif isinstance(node, yaml.SequenceNode):
            inner = node.value
        elif node.tag.endswith((":int", ":float")) and len(node.value) > MAX_DIGITS:
            raise ValueError(f"a number of {len(node.value):,} characters")
        if inner:
            known[node] = MAX_VALUES + 1
        known[node] = 1 + sum(_count(one, known) for one in inner)
    return known[node]
