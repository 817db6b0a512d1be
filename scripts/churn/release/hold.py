"""Hold promotions: after a rollback, or by an entry `hold`, runs promote nothing until an entry `release-hold`."""

from typing import TYPE_CHECKING

from churn.base.command import UserError
from churn.release.ledger import (
    BEGIN,
    END,
    HOLD,
    RELEASE_HOLD,
    Entry,
    Move,
    find_hold,
    finish_last_entry,
    move_production,
)
from churn.release.names import model_name

if TYPE_CHECKING:
    from mlflow import MlflowClient


def begin_hold(client: "MlflowClient", why: str) -> Entry | None:
    """Write an entry `hold`, unless promotions are held already; return what holds them already.

    Raises
    ------
    UserError
        When no version is registered, or someone else writes an entry at the same time.
    """
    return _change(client, Move(HOLD, "", "", "", why, BEGIN))


def end_hold(client: "MlflowClient", why: str) -> Entry | None:
    """Write an entry `release-hold`, unless promotions are not held; return what held them.

    Raises
    ------
    UserError
        As `begin_hold`.
    """
    return _change(client, Move(RELEASE_HOLD, "", "", "", why, END))


def _change(client: "MlflowClient", move: Move) -> Entry | None:
    if not client.search_registered_models(f"name = '{model_name()}'"):
        raise UserError(f"{model_name()} has no version yet, so there is nothing to hold. Run: make run")
    last, held = finish_last_entry(client), find_hold(client)
    if (held is None) == (move.hold == BEGIN):
        move_production(client, move, last, advice="See what is in Production now: make ledger")
    return held
