"""An embedded store that was moved, copied or restored: set its absolute paths to the artifacts beside it.

MLflow stores the absolute path of every run and version, and makes relative paths absolute. Without this, a copy would
load its models from the original's folder, and write there.
"""

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

LOG = logging.getLogger(__name__)
ARTIFACTS = "mlartifacts"
# Where MLflow stores the locations of artifacts. The first decides where new runs write.
EXPERIMENTS = ("experiments", "artifact_location")
COLUMNS = (
    EXPERIMENTS,
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
TIMEOUT_SECONDS = 30


def artifact_folder(database: Path) -> Path:
    """Return the folder in which an embedded store keeps its artifacts; one, however links lead to the store."""
    return database.resolve().parent / ARTIFACTS


class StoreError(Exception):
    """An embedded store cannot be read."""


def check_store(database: Path) -> None:
    """Raise `StoreError` when a store cannot be opened or read; MLflow itself would try again for two minutes.

    One that another process has locked is left to MLflow, which waits for it.
    """
    if not os.path.lexists(database):
        return
    try:
        with closing(sqlite3.connect(database, timeout=TIMEOUT_SECONDS)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        if "locked" not in str(error):
            fix = "Correct its permissions, or restore it from a backup"
            raise StoreError(f"{database.name} cannot be read: {error}. {fix}.") from error


def relocate_store(database: Path) -> None:
    """Set the locations below any other folder mlartifacts to the one beside the store; other locations stay.

    A run or version whose files are only at the old place stays there, so that it can still be loaded. A store that
    cannot be read or changed is left to MLflow, whose error says why.
    """
    if not database.exists():
        return
    here = artifact_folder(database).as_uri()
    try:
        with closing(sqlite3.connect(database, timeout=TIMEOUT_SECONDS, isolation_level=None)) as connection:
            if not _find_moves(connection, here):
                return
            # Another process may be doing the same: this waits for it, then finds nothing left to do.
            connection.execute("BEGIN IMMEDIATE")
            moves = _find_moves(connection, here)
            for (table, column), row, location in moves:
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (location, row))
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        # A new store has no tables yet.
        if "no such" not in str(error):
            LOG.warning("The artifact locations in %s cannot be updated: %s", database, error)
        return
    if moves:
        LOG.info("%s was moved or copied here: its artifacts are now those in %s", database.name, ARTIFACTS)


def _find_moves(connection: sqlite3.Connection, here: str) -> list[tuple[tuple[str, str], int, str]]:
    """Return the column, the row and the new value of each location to change."""
    query = " UNION ALL ".join(
        f"SELECT {number}, rowid, {column} FROM {table} WHERE ({column} LIKE 'file:%/{ARTIFACTS}' "
        f"OR {column} LIKE 'file:%/{ARTIFACTS}/%') AND {column} <> :here AND substr({column}, 1, :size) <> :inside"
        for number, (table, column) in enumerate(COLUMNS)
    )
    inside = f"{here}/"
    moves = []
    for number, row, old in connection.execute(query, {"here": here, "inside": inside, "size": len(inside)}):
        column, new = COLUMNS[number], here + _below(old)
        if column == EXPERIMENTS or _to_path(new).exists() or not _to_path(old).exists():
            moves.append((column, row, new))
    return moves


def _below(location: str) -> str:
    """Return the part of a location below the folder of artifacts, with the slash before it."""
    return "" if location.endswith(f"/{ARTIFACTS}") else "/" + location.rpartition(f"/{ARTIFACTS}/")[2]


def _to_path(location: str) -> Path:
    return Path(url2pathname(urlsplit(location).path))
