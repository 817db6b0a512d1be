"""Find and reject duplicate rows."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from churn.base.files import PARQUET, quote, write_whole
from churn.data.contract import FILES, USER, USER_FILES
from churn.data.reader import RECORD_BITS, Reject, SplitRead, SplitTask
from churn.data.splits import find_lines
from churn.engines import Engine

DUPLICATE = "is an exact copy of another row (duplicate_payments: drop)"
REPEATED = "the user stands in the file more than once"


def must_be_unique(name: str, params: dict[str, Any]) -> bool:
    """Return whether a file may not repeat rows: users always, payments if the parameter says so."""
    return name in USER_FILES or params["duplicate_payments"] == "drop"


@dataclass(frozen=True)
class Rewrite:
    """A part to rewrite with its good rows only: the columns to keep, and the records that are duplicates."""

    part: Path
    columns: list[str]
    duplicates: list[int]


def reject_duplicates(engine: Engine, table: Path, tasks: list[SplitTask], reads: list[SplitRead]) -> list[Rewrite]:
    """Add the duplicates to a file's rejects, and return the rewrites that remove them from the table.

    Parameters
    ----------
    engine : Engine
        The engine to read the table with.
    table : Path
        A table that `read_split` wrote with `all_rows`.
    tasks, reads : list of SplitTask, list of SplitRead
        The file's splits and their results; `kept` and `rejects` are updated.
    """
    name = tasks[0].split.path.name
    column, reason = (USER, REPEATED) if name in USER_FILES else (None, DUPLICATE)
    duplicates = defaultdict(list)
    for record in find_duplicates(engine, table, name):
        duplicates[record >> RECORD_BITS].append(record)
    for number, records in duplicates.items():
        read = reads[number]
        places = [record & ((1 << RECORD_BITS) - 1) for record in records]
        lines = find_lines(tasks[number].split.read(), places, read.malformed)
        read.rejects.extend(Reject(line, column, reason, raw) for line, raw in lines.of_records)
        read.kept -= len(records)
    return [Rewrite(task.part, list(FILES[name]), duplicates[task.split.number]) for task in tasks]


def find_duplicates(engine: Engine, table: Path, name: str) -> list[int]:
    """Return the records of the good rows that are duplicates, in ascending order.

    If a user appears twice in a user file, counting bad rows, every row is a duplicate: we cannot tell which one is
    right. If payments are equal in every column, all but the first are duplicates.
    """
    import ibis

    rows = engine.read(table)
    if name in USER_FILES:
        many = rows.group_by(USER).having(rows.count() > 1).aggregate()
        found = rows.filter(rows.failed_check == 0).semi_join(many, USER)
    else:
        good = rows.filter(rows.failed_check == 0)
        equal = ibis.window(group_by=list(FILES[name]), order_by="record")
        found = good.mutate(copy=ibis.row_number().over(equal)).filter(ibis._.copy > 0)
    return [record for (record,) in engine.fetch(found.select("record").order_by("record"))]


def keep_good_rows(rewrite: Rewrite) -> None:
    """Rewrite a part without its bad rows and without the columns that mark them."""
    with write_whole(rewrite.part) as new, duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(
            "CREATE TABLE duplicates AS SELECT unnest($records::BIGINT[]) AS record", {"records": rewrite.duplicates}
        )
        query = f"""
            SELECT {", ".join(f'"{column}"' for column in rewrite.columns)} FROM read_parquet({quote(rewrite.part)})
            WHERE failed_check = 0 AND record NOT IN (FROM duplicates) ORDER BY record
            """
        connection.execute(f"COPY ({query}) TO {quote(new)} {PARQUET}")
