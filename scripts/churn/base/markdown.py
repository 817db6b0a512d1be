"""Tables and escaped texts in Markdown."""

import re
from collections.abc import Iterable

# What formats anywhere, or begins a heading or a list; GitHub also makes links of addresses.
SPECIAL = re.compile(
    r"[\\`*\[\]<>|&~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^#(?=#*(?: |$))|^[+-](?=[ -]|$)|(?<=^[0-9])[.)](?= |$)"
    r"|:(?=//)|(?<=www)\."
)
# GitHub sends a mail to anyone who is named after an @: an invisible character prevents it.
MENTION = re.compile(r"@(?=[A-Za-z0-9])")
NO_BREAK = "\u2060"


def write_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; the cells are Markdown already."""
    head = list(head)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def escape(text: str) -> str:
    """Return a text as Markdown that shows it unchanged, on one line."""
    line = SPECIAL.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))
    return MENTION.sub(f"@{NO_BREAK}", line)
