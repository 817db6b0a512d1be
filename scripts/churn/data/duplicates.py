"""Find and reject duplicate rows."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from churn.base.files import PARQUET, quote, write_whole
from churn.data.checks import REJECTED, SKIPPED
from churn.data.contract import FILES, USER, USER_FILES
from churn.data.reader import RECORD_BITS, ROWS, SplitRead, SplitTask, records_of, rows_of
from churn.engines import Engine

COPY = "is an exact copy of another row"
DUPLICATE = "is an exact copy of another row (duplicate_payments: drop)"
REPEATED = "the user appears more than once in the file"
# Of these, one row is kept.
COPIES = (COPY, DUPLICATE)


def must_be_unique(name: str, params: dict[str, Any]) -> bool:
    """Return whether a file may not repeat rows: users always, payments if the parameter says so."""
    return name in USER_FILES or params["duplicate_payments"] == "drop"


@dataclass(frozen=True)
class Rewrite:
    """A part to rewrite with its good rows only: the columns to keep, and the records that are duplicates."""

    part: Path
    columns: list[str]
    duplicates: list[int]


def reject_duplicates(
    engine: Engine, table: Path, tasks: list[SplitTask], reads: list[SplitRead], max_reject_share: float
) -> list[Rewrite]:
    """Add the duplicates to a file's rejected rows, and return the rewrites that remove them from the table.

    Parameters
    ----------
    engine : Engine
        The engine to read the table with.
    table : Path
        A table that `read_split` wrote with `all_rows`.
    tasks, reads : list of SplitTask, list of SplitRead
        The file's splits and their results; `kept`, `outcomes` and `found` are updated.
    max_reject_share : float
        If more than this share of the rows are users in different rows, only the first of these are added: the file is
        then refused.
    """
    name = tasks[0].name
    duplicates = defaultdict(list)
    most = int(max_reject_share * sum(read.rows for read in reads)) + 1
    for record, is_copy in find_duplicates(engine, table, name, tasks[0], most):
        duplicates[record >> RECORD_BITS].append((record, is_copy))
    for number, found in duplicates.items():
        _reject(tasks[number], reads[number], found)
    return [
        Rewrite(task.part, list(FILES[name]), [record for record, _ in duplicates[task.split.number]]) for task in tasks
    ]


def _reject(task: SplitTask, read: SplitRead, found: list[tuple[int, bool]]) -> None:
    """Add duplicates of one split to its rejected rows."""
    records = records_of(task, read.check_all)
    rows, is_payment = rows_of(records, read.malformed), task.name not in USER_FILES
    listed = []
    problems = read.outcomes.setdefault(REJECTED, {})
    for record, is_copy in found:
        column, reason = (None, DUPLICATE if is_payment else COPY) if is_copy else (USER, REPEATED)
        problem = f"{column} {reason}" if column else reason
        problems[problem] = problems.get(problem, 0) + 1
        line, raw = records.locate(int(rows[record & ((1 << RECORD_BITS) - 1)]))
        listed.append({"line": line, "column": column, "outcome": REJECTED, "reason": reason, "raw": raw})
    read.kept -= len(listed)
    both = pa.concat_tables([read.found, pa.Table.from_pylist(listed, ROWS)])
    read.found = both.sort_by("line")


def find_duplicates(engine: Engine, table: Path, name: str, task: SplitTask, most: int) -> list[tuple[int, bool]]:
    """Return the records of the good rows that are duplicates, in ascending order, and whether each is an exact copy.

    If rows are equal in every column, all but the first are copies. If a user appears in different rows of a user file,
    counting bad rows, every row is a duplicate: we cannot know which one is right. Of these, the first `most` are
    returned.
    """
    import ibis

    skipping = sum(check.outcome == SKIPPED for check in task.checks)
    rows, columns = engine.read(table), list(FILES[name])
    read = rows.filter((rows.failed_check == 0) | (rows.failed_check > skipping))
    if name in USER_FILES:
        many = read.group_by(USER).having(read.count() > 1).aggregate()
        # Few users repeat: the comparison of whole rows is for these only.
        read = engine.keep(read.semi_join(many, USER))
        different = read.select(*columns, "failed_check").distinct()
        several = different.group_by(USER).having((different.count() > 1) | (different.failed_check.max() > 0))
        several = several.aggregate().mutate(is_repeated=ibis.literal(True))
        read = read.left_join(several, USER).select(*columns, "record", "failed_check", "is_repeated")
    else:
        read = read.mutate(is_repeated=ibis.literal(False))
    good = read.filter(read.failed_check == 0).mutate(is_repeated=ibis._.is_repeated.fill_null(False))
    equal = ibis.window(group_by=columns, order_by="record")
    found = good.mutate(copy=ibis.row_number().over(equal)).filter(ibis._.is_repeated | (ibis._.copy > 0))
    found = engine.keep(found.select("record", "is_repeated"))
    repeated = found.filter(found.is_repeated).order_by("record").limit(most)
    copies = found.filter(~found.is_repeated)
    return sorted(
        (record, not is_repeated) for part in (repeated, copies) for record, is_repeated in engine.fetch(part)
    )


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
