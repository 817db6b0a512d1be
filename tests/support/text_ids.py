"""Tables in which user ids are text instead of whole numbers; each user keeps all other values."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def text_id(number: int) -> str:
    """Return another name of a user: 20 digits, which a number would shorten, or one with letters."""
    return f"AR-{number:05}" if number % 2 else f"{number:020}"


def with_text_ids(table: pa.Table, column: str = "user_id") -> pa.Table:
    """Return the table with text ids."""
    ids = pa.array([text_id(number) for number in table[column].to_pylist()], pa.string())
    return table.set_column(table.column_names.index(column), column, ids)


def write_text_ids(source: Path, target: Path, column: str = "user_id") -> None:
    """Copy a table, a folder of Parquet files, with text ids, sorted by them; source and target may be the same."""
    parts = {path.name: pq.read_table(path) for path in sorted(source.glob("*.parquet"))}
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name, part in parts.items():
        pq.write_table(with_text_ids(part, column).sort_by(column), target / name)
