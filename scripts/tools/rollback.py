"""Roll back: put the previous version back into Production; doing it again undoes it.

Reads
    the registry
Writes
    an entry in the registry's ledger; the aliases `production` and `previous` of churn-model, swapped; the tag
    `rolled_back`, with the reason, of the version that leaves Production
"""

import argparse
from typing import TYPE_CHECKING

from churn.base.command import UserError, run_command
from churn.release.fit_to_score import warn_if_unfit
from churn.release.ledger import (
    BEGIN,
    ROLLBACK,
    Entry,
    Move,
    finish_last_entry,
    last_move,
    move_production,
    require_reason,
)
from churn.release.names import model_name
from churn.release.registry import PREVIOUS, PRODUCTION, aliased_version, open_registry

if TYPE_CHECKING:
    from mlflow import MlflowClient


def rollback(why: str) -> None:
    """Swap the aliases `production` and `previous`.

    Raises
    ------
    UserError
        When no reason is given, there is no version to go back to, someone else changes Production at the same time, or
        MLflow does not answer.
    """
    why = require_reason(why, "make rollback", "calls went up in Lima")
    with open_registry() as client:
        last = finish_last_entry(client)
        move: Move | None = last_move(client)
        # After a kill, the same command must not undo its own rollback.
        killed = last is not None and not last.done and last.action == ROLLBACK
        if move is None or move.action != ROLLBACK or (move.why != why and not killed):
            move = swap_aliases(client, why, last)
        warnings = warn_if_unfit(client, move.to_version)
    print(f"Production is version {move.to_version}. Version {move.from_version} was rolled back: {move.why}")
    print('Promotions are held until: make release-hold WHY="..."')
    print("To score the users with it: make run")
    print("\n".join(warnings), end="\n" * bool(warnings))
    print('To undo this, roll back again with another reason: make rollback WHY="..."')


def swap_aliases(client: "MlflowClient", why: str, last: Entry | None) -> Move:
    """Move Production to the previous version through the ledger; return the move."""
    production, previous = aliased_version(client, PRODUCTION), aliased_version(client, PREVIOUS)
    if production is None:
        raise UserError(f"{model_name()} has no version in Production, so there is nothing to roll back.")
    if previous is None or previous.version == production.version:
        raise UserError(
            f"Production of {model_name()} is version {production.version}, and no other version has the alias "
            f"{PREVIOUS!r}: there is no version to go back to. Set the alias on a version in MLflow, then roll back."
        )
    taken_out, put_back = str(production.version), str(previous.version)
    move = Move(ROLLBACK, taken_out, put_back, previous_version=taken_out, why=why, hold=BEGIN)
    move_production(client, move, last, advice="See what is in Production now: make ledger")
    return move


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--why", required=True, help="what is wrong with the version in Production, in a sentence")
    rollback(parser.parse_args().why)


if __name__ == "__main__":
    run_command(main)
