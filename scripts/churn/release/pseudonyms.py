"""Replace the ids of users by a keyed hash: without the key, nobody finds a user by the id."""

import hmac
import os

import pyarrow as pa

from churn.base.command import UserError

VARIABLE, COLUMN = "CHURN_PSEUDONYM_KEY", "user_pseudonym"
MIN_LENGTH = 16


def read_key() -> bytes:
    """Return the key from the environment or `.env`.

    Raises
    ------
    UserError
        When there is none, or it can be guessed.
    """
    key = os.environ.get(VARIABLE, "")
    if len(key) < MIN_LENGTH:
        raise UserError(
            f"{VARIABLE}, the key of the pseudonyms of users (privacy.pseudonymise in params.yaml), is "
            f"{'too short' if key else 'not set'}: it needs {MIN_LENGTH} characters or more. make up writes one into "
            f".env; without the servers: echo \"{VARIABLE}=$(python -c 'import secrets; "
            "print(secrets.token_urlsafe(24))')\" >> .env. Nothing was changed."
        )
    return key.encode()


def pseudonym(user: str, key: bytes) -> str:
    """Return the pseudonym of a user's id, as it is written in the tables."""
    return hmac.digest(key, user.encode(), "sha256").hex()


def pseudonymise(table: pa.Table, key: bytes) -> pa.Table:
    """Return a table in which the column user_pseudonym is in the place of user_id."""
    place = table.column_names.index("user_id")
    hidden = pa.array([None if user is None else pseudonym(str(user), key) for user in table["user_id"].to_pylist()])
    return table.set_column(place, COLUMN, hidden.cast(pa.string()))
