"""The ledger of Production: who put which version in or took it out, when and why; two at once cannot both win.

MLflow sets an alias without asking what it was before. What it does do whole and in order is to number the versions of
a registered model 1, 2, 3 ...: so each version of churn-model-ledger is one entry, made in one call that carries all of
it as tags. An entry says after which one it was written, and is valid when no other valid one stands between. The
aliases follow the valid entries.
"""

import getpass
import os
import socket
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from churn.base.command import UserError
from churn.release.provenance import current_commit
from churn.release.registry import MODEL, PREVIOUS, PRODUCTION, ROLLED_BACK_TAG, retry_once

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

LEDGER = "churn-model-ledger"
PROMOTE, ROLLBACK = "promote", "rollback"
# When an entry was made that was copied from another store: MLflow dates the copy.
CREATED_TAG = "migrated_created"


@dataclass(frozen=True)
class Move:
    """What is to happen to Production: versions of churn-model, "" for none."""

    action: str
    from_version: str
    to_version: str
    previous_version: str
    why: str


@dataclass(frozen=True)
class Entry(Move):
    """A move as it stands in the ledger.

    Attributes
    ----------
    number : int
        From 1; which of two entries came first.
    after : str
        The number of the last valid entry that the writer saw, "0" for none.
    head : int
        The last valid entry that really stands before this one.
    done : bool
        Whether the aliases were set.
    writer : str
        A name that no other call has: MLflow's client sends a call again when the answer does not come.
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
        """Whether nobody else was first."""
        return self.after == str(self.head)


def read_entries(client: "MlflowClient") -> list[Entry]:
    """Return all entries by number; whether one is valid depends on those before it alone, so all readers agree."""
    found, token = [], None
    while token != "":
        page = client.search_model_versions(f"name = '{LEDGER}'", order_by=["version_number ASC"], page_token=token)
        found += page
        token = page.token or ""
    entries, head = [], 0
    for version in sorted(found, key=lambda version: int(version.version)):
        entries.append(_parse_entry(version, head))
        if entries[-1].valid:
            head = entries[-1].number
    return entries


def created_at(version: "ModelVersion") -> datetime:
    """Return when a version was made, also when it was copied from another store."""
    if created := version.tags.get(CREATED_TAG):
        return datetime.fromisoformat(created)
    return datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)


def _parse_entry(version: "ModelVersion", head: int) -> Entry:
    texts = ("action", "from_version", "to_version", "previous_version", "why", "after", "who", "git_commit", "writer")
    return Entry(
        number=int(version.version),
        head=head,
        done="done" in version.tags,
        when=created_at(version),
        # A version that somebody made by hand has none of the tags; it is never valid.
        **{name: version.tags.get(name, "") for name in texts},
    )


def last_entry(client: "MlflowClient") -> Entry | None:
    """Return the last valid entry, None when there is none."""
    return next((entry for entry in reversed(read_entries(client)) if entry.valid), None)


def finish_last_entry(client: "MlflowClient") -> Entry | None:
    """Carry out the last valid entry if its writer did not come so far; return it as it was found, None without one.

    Call this before reading Production: what is written after that entry has seen what Production was. Aliases that
    differ from an entry which is done were moved by hand, and stay.
    """
    entry = last_entry(client)
    if entry is not None and not entry.done:
        carry_out(client, entry)
    return entry


def move_production(client: "MlflowClient", move: Move, last: Entry | None, mend: str) -> None:
    """Write a move into the ledger and carry it out.

    Parameters
    ----------
    client : MlflowClient
    move : Move
    last : Entry or None
        What `finish_last_entry` returned before Production was read.
    mend : str
        What the user can do when another move came first.

    Raises
    ------
    UserError
        When another move came first; nothing but the entry, which counts for nothing, was written then.
    """
    after, writer = last.number if last else 0, uuid.uuid4().hex
    _write_entry(client, move, after, writer)
    first = next(entry for entry in read_entries(client) if entry.number > after and entry.valid)
    if first.writer != writer:
        raise UserError(
            f"{first.who} was first: entry {first.number} of {LEDGER} ({describe_move(first)}. {first.why}) was "
            f"written at the same time, so version {move.to_version} was not put into Production. {mend}"
        )
    carry_out(client, first)


def _write_entry(client: "MlflowClient", move: Move, after: int, writer: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        if not client.search_registered_models(f"name = '{LEDGER}'"):
            client.create_registered_model(LEDGER, description=f"What happened to Production of {MODEL}: make ledger")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.get_model_version(MODEL, move.to_version)
    tags = vars(move) | {"after": str(after), "who": _who(), "git_commit": current_commit(), "writer": writer}
    client.create_model_version(
        LEDGER, version.source, version.run_id or None, tags, description=f"{describe_move(move)}. {move.why}"
    )


def carry_out(client: "MlflowClient", entry: Entry) -> None:
    """Set the aliases as an entry says, then mark it done; each call may be made twice.

    Whoever is slow may find that another finished this entry and wrote the next: then that one is carried out again,
    so that the aliases end as the last entry says.

    Raises
    ------
    UserError
        When a version that the entry names was deleted.
    """
    while True:
        _apply(client, entry)
        newest = last_entry(client)
        if newest is None or newest.number == entry.number:
            break
        entry = newest
    retry_once(client.set_model_version_tag, LEDGER, str(entry.number), "done", "true")


def _apply(client: "MlflowClient", entry: Entry) -> None:
    from mlflow.exceptions import MlflowException

    try:
        if entry.action == ROLLBACK:
            # Before the aliases: what leaves Production is marked already when it has left.
            retry_once(client.set_model_version_tag, MODEL, entry.from_version, ROLLED_BACK_TAG, entry.why)
            retry_once(client.delete_model_version_tag, MODEL, entry.to_version, ROLLED_BACK_TAG)
        if entry.previous_version:
            retry_once(client.set_registered_model_alias, MODEL, PREVIOUS, entry.previous_version)
        retry_once(client.set_registered_model_alias, MODEL, PRODUCTION, entry.to_version)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise UserError(
            f"Entry {entry.number} of {LEDGER} ({describe_move(entry)}) cannot be carried out: {error.message} Set the "
            f"aliases of {MODEL} in MLflow by hand, give version {entry.number} of {LEDGER} the tag done=true there, "
            "then run again."
        ) from error


def describe_move(move: Move) -> str:
    """Tell a move in a few words."""
    replaced = f" in the place of version {move.from_version}" if move.from_version else ""
    return f"{move.action}: version {move.to_version}{replaced}"


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
