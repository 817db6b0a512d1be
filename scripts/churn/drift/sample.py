"""The rows that drift is measured on: every user of a drop, or of large drops the same part of the users every week."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from churn.base.command import UserError
from churn.features.table import KEYS
from churn.features.user_hash import hash_users


def choose_part(features: Path, drops: list[date], sample_users: int) -> int:
    """Return n, a power of two: one user in n is taken, so that no drop has more than about `sample_users`.

    A power of two, so that those who are taken while drops grow are always among those who were taken before.
    """
    most = max(_open(features, drop).count_rows() for drop in drops)
    part = 1
    while most > part * sample_users:
        part *= 2
    return part


def read_features(features: Path, drop: date, part: int = 1, schema: pa.Schema | None = None) -> pa.Table:
    """Return the feature columns of one user in `part`, by a hash of the user; they must be those of `schema`.

    Raises
    ------
    UserError
        When the file is missing, damaged, or has other columns.
    """
    table = _open(features, drop)
    kept = []
    try:
        # Batch by batch, so that a large drop never stands in memory whole.
        for batch in table.to_batches():
            taken = hash_users(batch["user_id"].to_numpy()) & np.uint64(part - 1) == 0
            kept.append(batch.filter(pa.array(taken)))
        rows = pa.Table.from_batches(kept, table.schema).drop_columns(list(KEYS))
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise UserError(_damaged(features, drop, error)) from None
    if schema is not None and not rows.schema.equals(schema):
        differing = ", ".join(map(str, sorted(set(rows.schema) ^ set(schema), key=str)))
        raise UserError(f"{_path(features, drop)} has other columns than the oldest drop: {differing}. {_again(drop)}")
    return rows


def _open(features: Path, drop: date) -> ds.Dataset:
    try:
        return ds.dataset(_path(features, drop), format="parquet")
    except FileNotFoundError:
        raise UserError(f"{_path(features, drop)} is missing. {_again(drop)}") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(_damaged(features, drop, error)) from None


def _path(features: Path, drop: date) -> Path:
    return features / drop.isoformat() / "churn_features.parquet"


def _damaged(features: Path, drop: date, error: Exception) -> str:
    return f"{_path(features, drop)} cannot be read: {error}. {_again(drop)}"


def _again(drop: date) -> str:
    return f"Make it again: dvc repro build_features@{drop}"
