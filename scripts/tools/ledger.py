"""Print the ledger of Production as a table: who promoted or rolled back which version, when and why.

Reads
    the registry
Writes
    lines on the terminal
"""

import argparse

from churn.base.command import run_command
from churn.release.ledger import Entry, read_entries
from churn.release.names import model_name
from churn.release.registry import open_registry

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
        return [f"The ledger is empty: no version of {model_name()} has been promoted yet."]
    table = [HEADER, *map(describe_entry, entries)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def describe_entry(entry: Entry) -> tuple[str, ...]:
    """Return an entry's cells; an entry that is not valid, or not applied yet, says so before its reason."""
    return (
        str(entry.number),
        f"{entry.when:%Y-%m-%d %H:%M:%S}",
        entry.action,
        entry.from_version or "-",
        entry.to_version or "-",
        entry.who,
        entry.git_commit[:7],
        ". ".join(text for text in (entry.remark, entry.why) if text),
    )


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print("\n".join(show_ledger()))


if __name__ == "__main__":
    run_command(main)
