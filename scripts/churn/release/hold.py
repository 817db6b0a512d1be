"""Hold promotions: after a rollback, or by an entry `hold`, runs promote nothing until an entry `release-hold`."""

from typing import TYPE_CHECKING

from churn.base.command import UserError
from churn.release.ledger import (
    HOLD,
    RELEASE_HOLD,
    ROLLBACK,
    Entry,
    Move,
    finish_last_entry,
    move_production,
    read_entries,
)
from churn.release.names import model_name
from churn.release.registry import PREVIOUS, PRODUCTION, aliased_version

if TYPE_CHECKING:
    from mlflow import MlflowClient


def find_hold(client: "MlflowClient") -> Entry | None:
    """Return the entry that holds promotions, None if nothing does."""
    kinds = (ROLLBACK, HOLD, RELEASE_HOLD)
    last = next((one for one in reversed(read_entries(client)) if one.valid and one.action in kinds), None)
    return None if last is None or last.action == RELEASE_HOLD else last


def change_hold(client: "MlflowClient", action: str, why: str) -> Entry | None:
    """Write an entry `hold` or `release-hold`, unless promotions are already held, or not held.

    Parameters
    ----------
    client : MlflowClient
    action : str
        hold or release-hold.
    why : str

    Returns
    -------
    Entry or None
        What held promotions before.

    Raises
    ------
    UserError
        When no version is in Production, or someone else writes an entry at the same time.
    """
    last = finish_last_entry(client)
    production, previous = aliased_version(client, PRODUCTION), aliased_version(client, PREVIOUS)
    if production is None:
        raise UserError(f"{model_name()} has no version in Production, so there is nothing to hold.")
    held = find_hold(client)
    if (held is None) == (action == HOLD):
        number = str(production.version)
        move = Move(action, number, number, str(previous.version) if previous else "", why)
        move_production(client, move, last, advice="See what is in Production now: make ledger")
    return held
