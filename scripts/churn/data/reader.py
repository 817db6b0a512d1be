"""Read one split of a CSV by the contract: the unit of work that engines run in parallel."""

import tempfile
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import duckdb

from churn.base.files import PARQUET, quote
from churn.data.checks import Check, checked_rows
from churn.data.contract import FILES, PAYMENT_DAY
from churn.data.splits import Split, find_lines

SHAPES = {
    "MISSING COLUMNS": "has too few fields",
    "TOO MANY COLUMNS": "has too many fields",
    "UNQUOTED VALUE": "has a quote that is not closed, or text after it",
    "LINE SIZE OVER MAXIMUM": "is longer than 2 MB",
    "INVALID ENCODING": "is not UTF-8",
}
# A record's number in a part with all rows: the split's number, shifted by this many bits, plus the row in the split.
RECORD_BITS = 32


@dataclass(frozen=True)
class Reject:
    """A bad row: its line (from 1), the column (None if the line itself is bad), the reason, and the line's text."""

    line: int
    column: str | None
    reason: str
    raw: str

    @property
    def problem(self) -> str:
        """Column and reason."""
        return f"{self.column} {self.reason}" if self.column else self.reason


@dataclass(frozen=True)
class SplitTask:
    """A split to read, with everything that `read_split` needs.

    Attributes
    ----------
    split : Split
        Lines of one of the files of `contract.FILES`.
    header : list of str
        The file's columns, in its order.
    checks : list of Check
        From `checks.list_checks`.
    part : Path
        The Parquet file to write.
    all_rows : bool
        Also write the bad rows that can be parsed, and add the columns `failed_check` (the number, from 1, of the first
        failed check, or 0) and `record` (see RECORD_BITS).
    """

    split: Split
    header: list[str]
    checks: list[Check]
    part: Path
    all_rows: bool


@dataclass
class SplitRead:
    """The result of reading a split; its lines are numbered from 1.

    Attributes
    ----------
    lines, rows, kept : int
        The numbers of lines, of lines that are not empty, and of good rows.
    rejects : list of Reject
        The bad rows.
    malformed : list of int
        The lines that cannot be parsed as a record, in ascending order.
    is_broken : bool
        The numbers of lines and records differ, because a field contains a line break.
    broken_line : int or None
        The first line with such a field, if found.
    unreadable : str
        The error message if the split could not be read at all, else "".
    days : dict of int
        How many good rows each day of payments has; empty for user files.
    """

    lines: int = 0
    rows: int = 0
    kept: int = 0
    rejects: list[Reject] = field(default_factory=list)
    malformed: list[int] = field(default_factory=list)
    is_broken: bool = False
    broken_line: int | None = None
    unreadable: str = ""
    days: dict[date, int] = field(default_factory=dict)


def read_split(task: SplitTask) -> SplitRead:
    """Write the good rows of a split as one part of a table, in the order of the CSV.

    Returns
    -------
    SplitRead
        Every row is kept or rejected, unless `is_broken` or `unreadable`.
    """
    split, name = task.split, task.split.path.name
    text = split.read()
    with tempfile.TemporaryDirectory() as temporary, duckdb.connect(config={"threads": 1}) as connection:
        rows = Path(temporary, name)
        rows.write_bytes(text)
        try:
            # In a table, `rowid` numbers the rows in the order of the lines.
            connection.execute(f"CREATE TABLE checked AS {checked_rows(rows, name, task.header, task.checks)}")
        except duckdb.InvalidInputException as error:
            return SplitRead(unreadable=str(error).splitlines()[0])
        record = f"({split.number}::BIGINT << {RECORD_BITS}) + rowid AS record"
        values = ", ".join(f'"{column}"' for column in FILES[name])
        good = f"SELECT {values} FROM checked WHERE failed_check = 0"
        query = f"SELECT *, {record} FROM checked" if task.all_rows else good
        connection.execute(f"COPY ({query}) TO {quote(task.part)} {PARQUET}")
        query = "SELECT rowid, failed_check FROM checked WHERE failed_check > 0 ORDER BY rowid"
        bad = connection.execute(query).fetchall()
        first_error = "first(error_type::VARCHAR ORDER BY byte_position)"
        query = f"SELECT line, {first_error} FROM reject_errors GROUP BY line ORDER BY line"
        shapes = dict(connection.execute(query).fetchall())
        ((records,),) = connection.execute("SELECT count(*) FROM checked").fetchall()
        lines = find_lines(text, [record for record, _ in bad], list(shapes))
        read = SplitRead(lines.number, lines.rows, records - len(bad), malformed=list(shapes))
        if PAYMENT_DAY in FILES[name]:
            query = f'SELECT "{PAYMENT_DAY}", count(*) FROM checked WHERE failed_check = 0 GROUP BY 1'
            read.days = dict(connection.execute(query).fetchall())
        if records + len(shapes) != lines.rows:
            return replace(read, is_broken=True, broken_line=_find_broken_line(connection, name))
    for line, raw in lines.malformed:
        read.rejects.append(Reject(line, None, SHAPES.get(shapes[line], shapes[line].lower()), raw))
    for (_, number), (line, raw) in zip(bad, lines.of_records, strict=True):
        check = task.checks[number - 1]
        read.rejects.append(Reject(line, check.column, check.reason, raw))
    return read


def _find_broken_line(connection: duckdb.DuckDBPyConnection, name: str) -> int | None:
    """Return the first line in which a field with a line break begins, or None if none is found."""
    texts = ", ".join(f'"{column}"' for column, spec in FILES[name].items() if spec.type == "text")
    # Up to the first such row, rows and lines have the same numbers.
    found = connection.execute(f"""
        SELECT line FROM reject_errors WHERE contains(csv_line, chr(10))
        UNION ALL
        SELECT rowid + 1 FROM checked WHERE contains(concat_ws('', {texts or "''"}), chr(10))
        ORDER BY 1
    """).fetchone()
    return found[0] if found else None
