"""Hold promotions: no run promotes until they are released. A rollback does the same.

Reads
    the registry
Writes
    an entry `hold` in the registry's ledger, unless promotions are held already; the alias `hold` of the model
"""

import argparse

from churn.base.command import run_command
from churn.release.hold import begin_hold
from churn.release.ledger import require_reason
from churn.release.registry import open_registry


def hold(why: str) -> None:
    """Hold promotions.

    Raises
    ------
    UserError
        When no reason is given, no version is registered, someone else changes the ledger at the same time, or
        MLflow does not answer.
    """
    why = require_reason(why, "make hold", "the audit ends on Friday")
    with open_registry() as client:
        before = begin_hold(client, why)
    if before:
        print(f"Promotions are held already, by entry {before.number} ({before.action} by {before.who}: {before.why})")
    else:
        print('Promotions are held until: make release-hold WHY="..."')


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--why", required=True, help="why nothing must be promoted, in a sentence")
    hold(parser.parse_args().why)


if __name__ == "__main__":
    run_command(main)
