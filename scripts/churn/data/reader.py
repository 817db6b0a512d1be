"""Read one split of a CSV by the contract: the unit of work that engines run in parallel."""

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from churn.base.files import PARQUET, quote
from churn.data.checks import (
    NULLED,
    REJECTED,
    SKIPPED,
    Check,
    changed_columns,
    checked_rows,
)
from churn.data.contract import FILES, PAYMENT_DAY
from churn.data.fields import BLANKS, UNSEEN
from churn.data.mapping import Dialect
from churn.data.records import NOT_CLOSED, REASONS, TOO_FEW, TOO_MANY, Records, Split, find_records

SHAPES = {
    "MISSING COLUMNS": TOO_FEW,
    "TOO MANY COLUMNS": TOO_MANY,
    "UNQUOTED VALUE": NOT_CLOSED,
    "LINE SIZE OVER MAXIMUM": "is longer than 2 MB",
    "INVALID ENCODING": "is not UTF-8",
}
# A record's number in a part with all rows: the split's number, shifted by this many bits, plus the row in the split.
RECORD_BITS = 32
ROWS = pa.schema(
    {"line": pa.int64(), "column": pa.string(), "outcome": pa.string(), "reason": pa.string(), "raw": pa.string()}
)


@dataclass(frozen=True)
class SplitTask:
    """A split to read, with everything that `read_split` needs.

    Attributes
    ----------
    split : Split
        Records of a CSV.
    name : str
        The CSV's name in `contract.FILES`.
    header : list of str
        The file's columns, in its order.
    lines_before : int
        The number of lines before the file's rows.
    checks : list of Check
        From `checks.list_checks`.
    drop : date or None
        The drop.
    dialect : Dialect
        How the CSV is written.
    ambiguous : dict of bool
        Columns that may be written with thousands, and whether the first rows leave that open.
    part : Path
        The Parquet file to write.
    all_rows : bool
        Also write the bad rows that can be parsed, and add the columns `failed_check` (the number, from 1, of the first
        failed check, or 0) and `record` (see RECORD_BITS).
    most : int or None
        List at most this many bad rows of each kind; None lists all.
    """

    split: Split
    name: str
    header: list[str]
    lines_before: int
    checks: list[Check]
    drop: date | None
    dialect: Dialect
    ambiguous: dict[str, bool]
    part: Path
    all_rows: bool
    most: int | None


@dataclass
class SplitRead:
    """The result of reading a split; its lines are numbered from 1.

    Attributes
    ----------
    lines_before : int
        The number of lines before the file's rows.
    lines, rows, kept : int
        The numbers of lines, of rows that were neither empty nor skipped, and of good rows.
    outcomes : dict of dict of int
        For each outcome (see `checks`), how many rows or values had each problem.
    found : pyarrow.Table
        The rejected rows and the values that were replaced by null, by line; see ROWS.
    is_complete : bool
        `found` has all of them.
    malformed : list of int
        The records (from 0, of those that are not empty) that cannot be parsed.
    check_all : bool
        Each line with a quote was checked; see `find_records`.
    is_broken : bool
        The numbers of lines and records differ.
    unreadable : str
        The error message if the split could not be read at all, else "".
    days : dict of int
        How many good rows each day of payments has; empty for user files.
    thousands : dict of (int, int, int)
        For each ambiguous column, how many values `thousands.thousands_like` has put in each class, from 1.
    refunds : int
        How many of the rows are refunds.
    """

    lines_before: int = 0
    lines: int = 0
    rows: int = 0
    kept: int = 0
    outcomes: dict[str, dict[str, int]] = field(default_factory=dict)
    found: pa.Table = field(default_factory=ROWS.empty_table)
    is_complete: bool = True
    malformed: list[int] = field(default_factory=list)
    check_all: bool = False
    is_broken: bool = False
    unreadable: str = ""
    days: dict[date, int] = field(default_factory=dict)
    thousands: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    refunds: int = 0


def read_split(task: SplitTask) -> SplitRead:
    """Write the good rows of a split as one part of a table, in the order of the CSV.

    Returns
    -------
    SplitRead
        Every row is kept, rejected or skipped, unless `is_broken` or `unreadable`.
    """
    read = _read_records(task, records_of(task), SplitRead(task.lines_before))
    if read.is_broken:
        # DuckDB lists only some malformed rows if they are many, and a quote in the middle of a field can open one that
        # nothing closes, on a line with an even number of them.
        checked = SplitRead(task.lines_before, check_all=True)
        return _read_records(task, records_of(task, check_all=True), checked)
    return read


def records_of(task: SplitTask, check_all: bool = False) -> Records:
    """Return the records of a task's split."""
    dialect = task.dialect
    return find_records(task.split.read(), len(task.header), dialect.delimiter, dialect.quote, check_all)


def rows_of(records: Records, malformed: list[int]) -> np.ndarray:
    """Return the record (from 0) of each row that was parsed."""
    return records.filled[~np.isin(records.filled, malformed)] if malformed else records.filled


def _read_records(task: SplitTask, records: Records, read: SplitRead) -> SplitRead:
    with tempfile.TemporaryDirectory() as temporary, _connect() as connection:
        rows, text = Path(temporary, task.name), records.to_read()
        rows.write_bytes(text)
        has_unseen = not text.isascii() and any(blank.encode() in text for blank in UNSEEN)
        joint = records.joint.decode() if len(records.joints) else ""
        query = checked_rows(
            rows, task.name, task.header, task.checks, task.drop, task.dialect, task.ambiguous, joint, has_unseen
        )
        try:
            # In a table, `rowid` numbers the rows in the order of the lines.
            connection.execute(f"CREATE TABLE checked AS {query}")
        except duckdb.InvalidInputException as error:
            read.unreadable = str(error).splitlines()[0]
            return read
        first_error = "first(error_type::VARCHAR ORDER BY byte_position)"
        query = f"SELECT line, {first_error} FROM reject_errors GROUP BY line ORDER BY line"
        errors = {int(records.read[line - 1]): error for line, error in connection.execute(query).fetchall()}
        read.lines, read.malformed = records.lines, list(errors)
        ((parsed,),) = connection.execute("SELECT count(*) FROM checked").fetchall()
        if parsed + len(errors) != records.rows:
            read.is_broken = True
            return read
        _write_part(connection, task)
        _count(connection, task, read)
        shapes = {record: SHAPES.get(error, error.lower()) for record, error in errors.items()}
        footers = _find_footers(task, records, list(shapes))
        shapes = {record: reason for record, reason in shapes.items() if record not in footers}
        if footers:
            read.outcomes.setdefault(SKIPPED, {})["the line is no row"] = len(footers)
        reasons = Counter(shapes.values())
        for reason, number in enumerate(np.bincount(records.reasons, minlength=len(REASONS)).tolist()):
            reasons[REASONS[reason]] += number
        read.outcomes.setdefault(REJECTED, {}).update({reason: number for reason, number in reasons.items() if number})
        skipped, rejected = (sum(read.outcomes.get(outcome, {}).values()) for outcome in (SKIPPED, REJECTED))
        read.rows = parsed + len(errors) + len(records.excluded) - skipped
        read.kept = read.rows - rejected
        for record, reason in zip(records.excluded[: task.most], records.reasons[: task.most], strict=True):
            shapes[int(record)] = REASONS[reason]
        read.found = _list_found(connection, task, records, read, shapes)
        return read


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    # Some formats of dates are read in the session's time zone, which is the machine's.
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _write_part(connection: duckdb.DuckDBPyConnection, task: SplitTask) -> None:
    values = ", ".join(f'"{column}"' for column in FILES[task.name])
    query = f"SELECT {values} FROM checked WHERE failed_check = 0"
    if task.all_rows:
        record = f"({task.split.number}::BIGINT << {RECORD_BITS}) + rowid AS record"
        query = f"SELECT {values}, failed_check, {record} FROM checked"
    connection.execute(f"COPY ({query}) TO {quote(task.part)} {PARQUET}")


def _count(connection: duckdb.DuckDBPyConnection, task: SplitTask, read: SplitRead) -> None:
    """Count what the checks found, the payments of each day, and how amounts are written."""
    marks = {"failed_check": "true"}
    marks |= {f"changed_{column}": "failed_check = 0" for column in changed_columns(task.checks)}
    for mark, among in marks.items():
        query = f'SELECT "{mark}", count(*) FROM checked WHERE "{mark}" > 0 AND {among} GROUP BY 1 ORDER BY 1'
        for number, rows in connection.execute(query).fetchall():
            check = task.checks[number - 1]
            problems = read.outcomes.setdefault(check.outcome, {})
            problems[check.problem] = problems.get(check.problem, 0) + rows
    for column in task.ambiguous:
        numbers = ", ".join(f'count(*) FILTER ("thousands_{column}" = {number})' for number in (1, 2, 3))
        (read.thousands[column],) = connection.execute(f"SELECT {numbers} FROM checked").fetchall()
    if PAYMENT_DAY in FILES[task.name]:
        good = "FROM checked WHERE failed_check = 0 AND SPENT"
        read.days = dict(connection.execute(f'SELECT "{PAYMENT_DAY}", count(*) {good} > 0 GROUP BY 1').fetchall())
        if task.dialect.refunds == "subtract":
            ((read.refunds,),) = connection.execute(f"SELECT count(*) {good} < 0").fetchall()


def _find_footers(task: SplitTask, records: Records, malformed: list[int]) -> set[int]:
    """Return which lines with too few or too many fields the dialect skips."""
    texts = {text.casefold() for texts in task.dialect.skip_rows.values() for text in texts}
    if not texts:
        return set()
    first = {record: records.locate(record)[1].split(task.dialect.delimiter)[0] for record in malformed}
    return {record for record, text in first.items() if text.strip(BLANKS + task.dialect.quote).casefold() in texts}


def _list_found(
    connection: duckdb.DuckDBPyConnection, task: SplitTask, records: Records, read: SplitRead, shapes: dict[int, str]
) -> pa.Table:
    """Return the rejected rows and the values that were replaced by null, by line."""
    numbers = [number for number, check in enumerate(task.checks, start=1) if check.outcome in (REJECTED, NULLED)]
    bad = []
    for mark in ("failed_check", *(f"changed_{column}" for column in changed_columns(task.checks))):
        among = "" if mark == "failed_check" else "AND failed_check = 0"
        limit = "" if task.most is None else f"LIMIT {task.most}"
        query = (
            f'SELECT rowid, "{mark}" FROM checked WHERE "{mark}" IN ({_listed(numbers)}) {among} ORDER BY rowid {limit}'
        )
        bad += connection.execute(query).fetchall()
    malformed = sorted(shapes)[: task.most]
    if task.most is not None:
        total = sum(sum(read.outcomes.get(outcome, {}).values()) for outcome in (REJECTED, NULLED))
        read.is_complete = total == len(bad) + len(malformed)
    rows = rows_of(records, read.malformed) if bad else np.empty(0)
    found = [(*records.locate(record), None, REJECTED, shapes[record]) for record in malformed]
    for row, number in bad:
        check = task.checks[number - 1]
        found.append((*records.locate(int(rows[row])), check.column, check.outcome, check.reason))
    found.sort(key=lambda one: one[0])
    columns = list(zip(*found, strict=True)) or [()] * 5
    line, raw, column, outcome, reason = columns
    return pa.table([line, column, outcome, reason, raw], schema=ROWS)


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
