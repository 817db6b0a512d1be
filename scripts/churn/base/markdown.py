"""Tables and escaped texts in Markdown."""

import re
from collections.abc import Iterable

SPECIAL = re.compile(r"[\\`*\[\]<>|&~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def write_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; the cells are Markdown already."""
    head = list(head)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def escape(text: str) -> str:
    """Return a text as Markdown that shows it unchanged, on one line."""
    return SPECIAL.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))
