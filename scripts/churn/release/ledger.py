"""The ledger of Production: who promoted, rolled back or held what, when and why. Of two at once, only one wins.

MLflow sets an alias without checking its old value, so two clients could overwrite each other. But it numbers the
versions of a registered model 1, 2, 3 ... atomically. So each version of churn-model-ledger is one entry, created in
one call with all its content as tags. An entry names the entry before it, and is valid when no other valid entry came
in between. The aliases follow the valid entries.

A rollback lasts: it holds promotions, as an entry `hold` does, until an entry `release-hold`. The alias `hold` shows
it.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from churn.base.command import UserError
from churn.release.names import ledger_name, model_name
from churn.release.provenance import current_commit, current_user
from churn.release.registry import (
    HOLD_ALIAS,
    PREVIOUS,
    PRODUCTION,
    ROLLED_BACK_TAG,
    find_versions,
    retry_once,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

PROMOTE, ROLLBACK, HOLD, RELEASE_HOLD, ERASE = "promote", "rollback", "hold", "release-hold", "erase"
# The entries that put a version into Production.
MOVES = (PROMOTE, ROLLBACK)
BEGIN, END = "begin", "end"
# When an entry copied from another store was created: MLflow only knows the date of the copy.
CREATED_TAG = "migrated_created"


@dataclass(frozen=True)
class Move:
    """A planned entry; the versions are those of the model, "" for none.

    Attributes
    ----------
    hold : str
        begin if promotions are held from this entry on, end if no longer, "" if it changes nothing in that.
    """

    action: str
    from_version: str
    to_version: str
    previous_version: str
    why: str
    hold: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry(Move):
    """A move in the ledger.

    Attributes
    ----------
    number : int
        From 1, in the order in which the entries were written.
    after : str
        The number of the last valid entry that the writer knew of, "0" for none.
    head : int
        The last valid entry that really precedes this one.
    done : bool
        Whether the aliases are set.
    writer : str
        A unique name for each call: MLflow's client repeats a call when the response is lost.
    """

    number: int
    after: str
    head: int
    done: bool
    when: datetime
    who: str
    git_commit: str
    writer: str

    @property
    def valid(self) -> bool:
        """Whether no other entry came first."""
        return self.after == str(self.head)

    @property
    def remark(self) -> str:
        """Why the entry has had no effect, "" when it is valid and applied."""
        if not self.action:
            return "created by hand: not valid"
        if not self.valid:
            return f"lost: entry {self.head} came first"
        return "" if self.done else "unfinished"


def read_entries(client: "MlflowClient") -> list[Entry]:
    """Return all entries by number; validity depends only on earlier entries, so all readers agree."""
    entries: list[Entry] = []
    head = 0
    for version in find_versions(client, ledger_name()):
        entries.append(_parse_entry(version, head))
        if entries[-1].valid:
            head = entries[-1].number
    return entries


def created_at(version: "ModelVersion") -> datetime:
    """Return when a version was created, in its original store if it was copied."""
    if created := version.tags.get(CREATED_TAG):
        return datetime.fromisoformat(created)
    return datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)


def _parse_entry(version: "ModelVersion", head: int) -> Entry:
    texts = (
        *("action", "from_version", "to_version", "previous_version", "why", "hold"),
        *("after", "who", "git_commit", "writer"),
    )
    return Entry(
        number=int(version.version),
        head=head,
        done="done" in version.tags,
        when=created_at(version),
        # A version created by hand has none of these tags, and is never valid.
        **{name: version.tags.get(name, "") for name in texts},
    )


def last_entry(client: "MlflowClient") -> Entry | None:
    """Return the last valid entry, None when there is none."""
    return next((entry for entry in reversed(read_entries(client)) if entry.valid), None)


def last_move(client: "MlflowClient") -> Entry | None:
    """Return the last valid entry that put a version into Production, None when there is none."""
    return next((one for one in reversed(read_entries(client)) if one.valid and one.action in MOVES), None)


def find_hold(client: "MlflowClient") -> Entry | None:
    """Return the entry that holds promotions, None if nothing does; rollbacks of before 2026-11-27 do not."""
    last = next((one for one in reversed(read_entries(client)) if one.valid and one.hold), None)
    return last if last is not None and last.hold == BEGIN else None


def show_hold(client: "MlflowClient") -> Entry | None:
    """Set or delete the alias `hold` as the ledger says; return the entry that holds promotions.

    It is on the version in Production, or on the newest without one. Snakemake asks for it, and it is seen in MLflow.
    """
    aliases, hold = client.get_registered_model(model_name()).aliases, find_hold(client)
    if hold is None:
        if HOLD_ALIAS in aliases:
            client.delete_registered_model_alias(model_name(), HOLD_ALIAS)
        return None
    newest = str(find_versions(client, model_name())[-1].version) if PRODUCTION not in aliases else ""
    target = str(aliases.get(PRODUCTION, newest))
    if str(aliases.get(HOLD_ALIAS)) != target:
        retry_once(client.set_registered_model_alias, model_name(), HOLD_ALIAS, target)
    return hold


def require_reason(why: str, command: str, example: str) -> str:
    """Return a reason on one line; raise `UserError` if it is empty."""
    why = " ".join(why.split())
    if not why:
        raise UserError(f'A reason is required and kept in the ledger: {command} WHY="{example}"')
    return why


def finish_last_entry(client: "MlflowClient") -> Entry | None:
    """Apply the last valid entry if its writer did not; return it as it was before, None without an entry.

    Call this before reading Production, so that a move written after this entry knows its effect. Aliases that differ
    from an entry marked done were moved by hand, and are kept.
    """
    entry = last_entry(client)
    if entry is not None and not entry.done:
        apply_entry(client, entry)
    return entry


def move_production(client: "MlflowClient", move: Move, last: Entry | None, advice: str) -> None:
    """Write a move into the ledger and apply it.

    Parameters
    ----------
    client : MlflowClient
    move : Move
    last : Entry or None
        What `finish_last_entry` returned before Production was read.
    advice : str
        What the user can do when another move came first.

    Raises
    ------
    UserError
        When another move came first. Then only an entry was written, which is not valid and has no effect.
    """
    after, writer = last.number if last else 0, uuid.uuid4().hex
    _write_entry(client, move, after, writer)
    first = next(entry for entry in read_entries(client) if entry.number > after and entry.valid)
    if first.writer != writer:
        raise UserError(
            f"{first.who} was first: entry {first.number} of {ledger_name()} ({explain_move(first)}) was written at "
            f"the same time, so this has no effect: {describe_move(move)}. {advice}"
        )
    apply_entry(client, first)


def _write_entry(client: "MlflowClient", move: Move, after: int, writer: str) -> None:
    create_ledger(client)
    tags = vars(move) | {"after": str(after), "who": current_user(), "git_commit": current_commit(), "writer": writer}
    # A hold or an erasure is about no version; an entry is never loaded, so any address does.
    source, run_id = f"{move.action}:/{ledger_name()}", None
    if move.action in MOVES:
        version = client.get_model_version(model_name(), move.to_version)
        # MLflow returns a source with every version, though its annotation allows None.
        source, run_id = cast(str, version.source), version.run_id or None
    client.create_model_version(ledger_name(), source, run_id, tags, description=explain_move(move))


def create_ledger(client: "MlflowClient") -> None:
    """Create the registered model that holds the entries, unless it exists."""
    from mlflow.exceptions import MlflowException

    if client.search_registered_models(f"name = '{ledger_name()}'"):
        return
    try:
        client.create_registered_model(
            ledger_name(), description=f"The history of Production of {model_name()}: make ledger"
        )
    except MlflowException as error:
        # Another client created it in the meantime.
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def apply_entry(client: "MlflowClient", entry: Entry) -> None:
    """Set the aliases as an entry says, then mark it done; both are safe to repeat.

    A slow writer may overwrite newer aliases, so the newest valid entry is applied again until there is no newer one.

    Raises
    ------
    UserError
        When a version that the entry names has been deleted.
    """
    while entry.action in MOVES:
        _set_aliases(client, entry)
        newest = last_move(client)
        if newest is None or newest.number == entry.number:
            break
        entry = newest
    if entry.action != ERASE:
        # Before the first run there is no model that could be held.
        show_hold(client)
    retry_once(client.set_model_version_tag, ledger_name(), str(entry.number), "done", "true")


def _set_aliases(client: "MlflowClient", entry: Entry) -> None:
    from mlflow.exceptions import MlflowException

    try:
        if entry.action == ROLLBACK:
            # Before the aliases: a version that has left Production must already be marked.
            retry_once(client.set_model_version_tag, model_name(), entry.from_version, ROLLED_BACK_TAG, entry.why)
        retry_once(client.delete_model_version_tag, model_name(), entry.to_version, ROLLED_BACK_TAG)
        if entry.previous_version:
            retry_once(client.set_registered_model_alias, model_name(), PREVIOUS, entry.previous_version)
        retry_once(client.set_registered_model_alias, model_name(), PRODUCTION, entry.to_version)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise UserError(
            f"Entry {entry.number} of {ledger_name()} ({describe_move(entry)}) cannot be applied: {error.message} Set "
            f"the aliases of {model_name()} in MLflow by hand, set the tag done=true on version {entry.number} of "
            f"{ledger_name()}, then run again."
        ) from error


def describe_move(move: Move) -> str:
    """Return a move in a few words."""
    if move.action not in MOVES:
        return f"{move.action}: Production stays"
    replaced = f" replaces version {move.from_version}" if move.from_version else ""
    return f"{move.action}: version {move.to_version}{replaced}"


def explain_move(move: Move) -> str:
    """Return a move with its reason: an entry's description in MLflow."""
    return f"{describe_move(move)}. {move.why}"
