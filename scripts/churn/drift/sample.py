"""The rows that drift is measured on: all users of a drop or, of a large one, the same sample every week."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from churn.base.command import UserError
from churn.base.reading import read_table
from churn.features.table import KEYS
from churn.features.user_hash import hash_users

ROWS = "rows.parquet"
# In the file's own metadata: of which part of its users each drop has rows.
PARTS = b"parts"


@dataclass
class Sample:
    """Feature rows of some drops, oldest first, and of each drop n, if it has one user in n."""

    rows: pa.Table
    parts: dict[date, int]

    def split(self, drop: date) -> tuple[pa.Table, pa.Table, int]:
        """Return the features of a drop, those of the drops before it, and n: one user in n is in both."""
        part = max(self.parts.values())
        kept = _keep_part(self.rows, part)
        is_now = pc.equal(kept["as_of_date"], pa.scalar(drop))
        now, before = (kept.filter(mask).drop_columns(list(KEYS)) for mask in (is_now, pc.invert(is_now)))
        return now, before, part


def sample_drop(features: Path, drop: date, most: int) -> Sample:
    """Read the rows of at most about `most` users of a drop, chosen by a hash: one in 1, 2, 4, ...

    A smaller sample is part of any larger one, so that drops of different sizes can be compared.

    Raises
    ------
    UserError
        When the file is missing or damaged.
    """
    try:
        table = ds.dataset(features, format="parquet")
        # A column without nulls may be declared so in one drop only.
        table = table.replace_schema(pa.schema([field.with_nullable(True) for field in table.schema]))
        users, part = table.count_rows(), 1
        while users > part * most:
            part *= 2
        # Batch by batch, so that a large drop is never in memory as a whole.
        rows = pa.Table.from_batches((_keep_part(batch, part) for batch in table.to_batches()), table.schema)
    except FileNotFoundError:
        raise UserError(f"{features} is missing. {_how_to_rebuild(drop)}") from None
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise UserError(f"{features} cannot be read: {error}. {_how_to_rebuild(drop)}") from None
    return Sample(rows, {drop: part})


def read_sample(folder: Path) -> Sample | None:
    """Read what `write_sample` wrote, None if the folder has nothing: there is no drop before the first."""
    if not (folder / ROWS).exists():
        return None
    rows = read_table(folder / ROWS)
    parts = json.loads(rows.schema.metadata[PARTS])
    return Sample(rows.replace_schema_metadata(), {date.fromisoformat(drop): part for drop, part in parts.items()})


def add_drop(before: Sample | None, new: Sample, most_before: int) -> Sample:
    """Add a drop to the newest `most_before` drops of a sample.

    Raises
    ------
    UserError
        When the drop has other columns than those before it, or its user ids are of another kind.
    """
    (drop,) = new.parts
    if before is None:
        return new
    kinds = [_kind_of_ids(sample.rows) for sample in (new, before)]
    if kinds[0] != kinds[1]:
        raise UserError(
            f"User ids are {kinds[0]} in drop {drop}, but {kinds[1]} in the drops before it. The user_id setting in "
            "data/mapping.yaml has changed in between. Clean all drops again: dvc repro"
        )
    if not new.rows.schema.equals(before.rows.schema):
        differing = ", ".join(map(str, sorted(set(new.rows.schema) ^ set(before.rows.schema), key=str)))
        raise UserError(f"Drop {drop} has other columns than the drops before it: {differing}. {_how_to_rebuild(drop)}")
    kept = dict(sorted(before.parts.items())[-most_before:])
    rows = before.rows.filter(pc.is_in(before.rows["as_of_date"], pa.array(kept, pa.date32())))
    return Sample(pa.concat_tables([rows, new.rows]), kept | new.parts)


def write_sample(sample: Sample, folder: Path) -> None:
    """Write a sample into a new folder."""
    folder.mkdir()
    parts = json.dumps({str(drop): part for drop, part in sample.parts.items()})
    rows = sample.rows.replace_schema_metadata({PARTS: parts}).combine_chunks()
    pq.write_table(rows, folder / ROWS, compression="zstd")


def _keep_part(rows: pa.Table, part: int) -> pa.Table:
    sampled = hash_users(rows["user_id"]) & np.uint64(part - 1) == 0
    return rows.filter(pa.array(sampled))


def _kind_of_ids(rows: pa.Table) -> str:
    return "whole numbers" if pa.types.is_integer(rows["user_id"].type) else "text"


def _how_to_rebuild(drop: date) -> str:
    return f"Rebuild it: dvc repro build_features@{drop}"
