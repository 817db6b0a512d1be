"""Show the ledger of Production as a table: who put which version in or took it out, when and why.

Reads
    the registry
Writes
    nothing but lines to the terminal
"""

import argparse

from churn.base.command import run_command
from churn.release.ledger import Entry, read_entries
from churn.release.registry import MODEL, open_registry

HEADER = ("entry", "when (UTC)", "action", "from", "to", "who", "commit", "why")


def show_ledger() -> list[str]:
    """Return the table's lines.

    Raises
    ------
    UserError
        When MLflow does not answer.
    """
    with open_registry() as client:
        entries = read_entries(client)
    if not entries:
        return [f"The ledger is empty: nothing was promoted to Production of {MODEL} yet."]
    table = [HEADER, *map(describe_entry, entries)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def describe_entry(entry: Entry) -> tuple[str, ...]:
    """Return an entry's cells; one that does not count, or is not carried out yet, says so before its reason."""
    state = "" if entry.done else "unfinished. "
    if not entry.valid:
        state = f"lost: entry {entry.head} came first. " if entry.action else "made by hand: counts for nothing. "
    return (
        str(entry.number),
        f"{entry.when:%Y-%m-%d %H:%M:%S}",
        entry.action,
        entry.from_version or "-",
        entry.to_version,
        entry.who,
        entry.git_commit[:7],
        state + entry.why,
    )


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print("\n".join(show_ledger()))


if __name__ == "__main__":
    run_command(main)
