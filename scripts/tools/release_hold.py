"""Release promotions that a rollback or a hold stopped; the next run promotes a candidate that is better.

Reads
    the registry
Writes
    an entry `release-hold` in the registry's ledger, unless promotions are not held; no alias `hold` any more
"""

import argparse

from churn.base.command import run_command
from churn.release.hold import end_hold
from churn.release.ledger import require_reason
from churn.release.registry import open_registry


def release_hold(why: str) -> None:
    """Release promotions.

    Raises
    ------
    UserError
        When no reason is given, no version is registered, someone else changes the ledger at the same time, or
        MLflow does not answer.
    """
    why = require_reason(why, "make release-hold", "the calls were counted twice; that is fixed")
    with open_registry() as client:
        before = end_hold(client, why)
    if before:
        print(f"Promotions are released; entry {before.number} held them. To promote a candidate that waits: make run")
    else:
        print("Promotions are not held.")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--why", required=True, help="why versions may be promoted again, in a sentence")
    release_hold(parser.parse_args().why)


if __name__ == "__main__":
    run_command(main)
