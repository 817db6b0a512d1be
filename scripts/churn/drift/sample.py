"""Read the rows that drift is measured on: all users of a drop or, for large drops, the same sample every week."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from churn.base.command import UserError
from churn.features.table import KEYS
from churn.features.user_hash import hash_users


def choose_part(features: Path, drops: list[date], sample_users: int) -> int:
    """Return n for a sample of one user in n, so that no drop has more than about `sample_users`.

    A power of two, so that as drops grow, the smaller sample is always part of the larger one before.
    """
    largest = max(_open(features, drop).count_rows() for drop in drops)
    part = 1
    while largest > part * sample_users:
        part *= 2
    return part


def read_features(features: Path, drop: date, part: int = 1, schema: pa.Schema | None = None) -> pa.Table:
    """Return the feature columns of one user in `part`, chosen by a hash; check the columns against `schema`.

    Raises
    ------
    UserError
        When the file is missing, damaged, or has other columns.
    """
    table = _open(features, drop)
    kept = []
    try:
        # Batch by batch, so that a large drop is never in memory as a whole.
        for batch in table.to_batches():
            sampled = hash_users(batch["user_id"].to_numpy()) & np.uint64(part - 1) == 0
            kept.append(batch.filter(pa.array(sampled)))
        rows = pa.Table.from_batches(kept, table.schema).drop_columns(list(KEYS))
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise UserError(_damaged(features, drop, error)) from None
    if schema is not None and not rows.schema.equals(schema):
        differing = ", ".join(map(str, sorted(set(rows.schema) ^ set(schema), key=str)))
        raise UserError(
            f"{_path(features, drop)} has other columns than the oldest drop: {differing}. {_how_to_rebuild(drop)}"
        )
    return rows


def _open(features: Path, drop: date) -> ds.Dataset:
    try:
        return ds.dataset(_path(features, drop), format="parquet")
    except FileNotFoundError:
        raise UserError(f"{_path(features, drop)} is missing. {_how_to_rebuild(drop)}") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(_damaged(features, drop, error)) from None


def _path(features: Path, drop: date) -> Path:
    return features / drop.isoformat() / "churn_features.parquet"


def _damaged(features: Path, drop: date, error: Exception) -> str:
    return f"{_path(features, drop)} cannot be read: {error}. {_how_to_rebuild(drop)}"


def _how_to_rebuild(drop: date) -> str:
    return f"Rebuild it: dvc repro build_features@{drop}"
