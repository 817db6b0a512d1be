"""Rows that may stand in a file once: find the copies among all its rows, and take them out."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import duckdb

from churn.base.files import PARQUET, quote, write_whole
from churn.data.contract import FILES, USER, USER_FILES
from churn.data.reader import RECORD_BITS, Reject, SplitRead, SplitTask
from churn.data.splits import find_lines
from churn.engines import Engine

DUPLICATE = "is an exact copy of another row (duplicate_payments: drop)"
REPEATED = "the user stands in the file more than once"


def must_be_unique(name: str, params: dict) -> bool:
    """Tell whether a file's rows may not be repeated: users never, payments when the parameter says so."""
    return name in USER_FILES or params["duplicate_payments"] == "drop"


@dataclass(frozen=True)
class Rewrite:
    """A part of all rows that is to hold the good ones alone: its columns, and its records that are copies."""

    part: Path
    columns: list[str]
    copies: list[int]


def reject_copies(engine: Engine, table: Path, tasks: list[SplitTask], reads: list[SplitRead]) -> list[Rewrite]:
    """Count the copies among a file's rejects, and return what is to be done to take them out.

    Parameters
    ----------
    engine : Engine
        What reads the table.
    table : Path
        A table that `read_split` wrote with `all_rows`.
    tasks, reads : list of SplitTask, list of SplitRead
        The file's splits, and what became of them; `kept` and `rejects` are brought up to date.
    """
    name = tasks[0].split.path.name
    column, reason = (USER, REPEATED) if name in USER_FILES else (None, DUPLICATE)
    copies = defaultdict(list)
    for record in find_copies(engine, table, name):
        copies[record >> RECORD_BITS].append(record)
    for number, records in copies.items():
        read = reads[number]
        places = [record & ((1 << RECORD_BITS) - 1) for record in records]
        lines = find_lines(tasks[number].split.read(), places, read.misshapen)
        read.rejects.extend(Reject(line, column, reason, raw) for line, raw in lines.of_records)
        read.kept -= len(records)
    return [Rewrite(task.part, list(FILES[name]), copies[task.split.number]) for task in tasks]


def find_copies(engine: Engine, table: Path, name: str) -> list[int]:
    """Return the records, rising, of the good rows that are copies.

    Of a user's rows in a user file all are copies, the bad ones included, as none is better than the others; of
    payments that are equal in every column, all but the first.
    """
    import ibis

    rows = engine.read(table)
    if name in USER_FILES:
        many = rows.group_by(USER).having(rows.count() > 1).aggregate()
        found = rows.filter(rows.fault == 0).semi_join(many, USER)
    else:
        good = rows.filter(rows.fault == 0)
        equal = ibis.window(group_by=list(FILES[name]), order_by="record")
        found = good.mutate(copy=ibis.row_number().over(equal)).filter(ibis._.copy > 0)
    return [record for (record,) in engine.fetch(found.select("record").order_by("record"))]


def keep_good_rows(rewrite: Rewrite) -> None:
    """Rewrite a part without its bad rows, and without what tells them."""
    with write_whole(rewrite.part) as new, duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(
            "CREATE TABLE copies AS SELECT unnest($copies::BIGINT[]) AS record", {"copies": rewrite.copies}
        )
        query = f"""
            SELECT {", ".join(f'"{column}"' for column in rewrite.columns)} FROM read_parquet({quote(rewrite.part)})
            WHERE fault = 0 AND record NOT IN (FROM copies) ORDER BY record
            """
        connection.execute(f"COPY ({query}) TO {quote(new)} {PARQUET}")
