"""Read one split of a CSV by the contract: the unit of work of every engine."""

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from churn.base.files import PARQUET, quote
from churn.data.checks import Fault, checked_rows
from churn.data.contract import FILES
from churn.data.splits import Split, find_lines

SHAPES = {
    "MISSING COLUMNS": "has too few fields",
    "TOO MANY COLUMNS": "has too many fields",
    "UNQUOTED VALUE": "has a quote that is not closed, or text after it",
    "LINE SIZE OVER MAXIMUM": "is longer than 2 MB",
    "INVALID ENCODING": "is not UTF-8",
}
# In a part of all rows, the number of a record is that of its split, shifted by so many bits, and its place there.
RECORD_BITS = 32


@dataclass(frozen=True)
class Reject:
    """A bad row: its line (from 1), the column when one is at fault, the reason, and the line's text."""

    line: int
    column: str | None
    reason: str
    raw: str

    @property
    def why(self) -> str:
        """Column and reason in one."""
        return f"{self.column} {self.reason}" if self.column else self.reason


@dataclass(frozen=True)
class SplitTask:
    """A split to read, and how.

    Attributes
    ----------
    split : Split
        Lines of one of the files of `contract.FILES`.
    header : list of str
        The file's columns, in its order.
    faults : list of Fault
        What `csv_values.faults_of` returned for the file.
    part : Path
        The Parquet file to write.
    all_rows : bool
        Write the bad rows that are records, too, and beside the values `fault` (the number, from 1, of the row's first
        fault, or 0) and `record` (see RECORD_BITS).
    """

    split: Split
    header: list[str]
    faults: list[Fault]
    part: Path
    all_rows: bool


@dataclass
class SplitRead:
    """What became of a split; its lines are numbered from 1.

    Attributes
    ----------
    lines, rows, kept : int
        Its lines, those that are not empty, and the good rows among them.
    rejects : list of Reject
        The bad rows.
    misshapen : list of int
        The lines that are no record, rising.
    is_broken : bool
        Rows and records do not add up: a field runs over its line's end.
    broken_line : int or None
        The first line with such a field, if it is found.
    unreadable : str
        What the reader said when it gave up; "" when it did not.
    """

    lines: int = 0
    rows: int = 0
    kept: int = 0
    rejects: list[Reject] = field(default_factory=list)
    misshapen: list[int] = field(default_factory=list)
    is_broken: bool = False
    broken_line: int | None = None
    unreadable: str = ""


def read_split(task: SplitTask) -> SplitRead:
    """Write the good rows of a split as one part of a table, in the order of the CSV.

    Returns
    -------
    SplitRead
        Each row is kept or rejected, unless `is_broken` or `unreadable`.
    """
    split, name = task.split, task.split.path.name
    text = split.read()
    with tempfile.TemporaryDirectory() as temporary, duckdb.connect(config={"threads": 1}) as connection:
        rows = Path(temporary, name)
        rows.write_bytes(text)
        try:
            # A table numbers its rows, by `rowid`, in the order of the lines.
            connection.execute(f"CREATE TABLE checked AS {checked_rows(rows, name, task.header, task.faults)}")
        except duckdb.InvalidInputException as error:
            return SplitRead(unreadable=str(error).splitlines()[0])
        record = f"({split.number}::BIGINT << {RECORD_BITS}) + rowid AS record"
        values = ", ".join(f'"{column}"' for column in FILES[name])
        query = f"SELECT *, {record} FROM checked" if task.all_rows else f"SELECT {values} FROM checked WHERE fault = 0"
        connection.execute(f"COPY ({query}) TO {quote(task.part)} {PARQUET}")
        bad = connection.execute("SELECT rowid, fault FROM checked WHERE fault > 0 ORDER BY rowid").fetchall()
        first_error = "first(error_type::VARCHAR ORDER BY byte_position)"
        query = f"SELECT line, {first_error} FROM reject_errors GROUP BY line ORDER BY line"
        shapes = dict(connection.execute(query).fetchall())
        (records,) = connection.execute("SELECT count(*) FROM checked").fetchone()
        lines = find_lines(text, [record for record, _ in bad], list(shapes))
        read = SplitRead(lines.number, lines.rows, records - len(bad), misshapen=list(shapes))
        if records + len(shapes) != lines.rows:
            return replace(read, is_broken=True, broken_line=_find_broken_line(connection, name))
    for line, raw in lines.misshapen:
        read.rejects.append(Reject(line, None, SHAPES.get(shapes[line], shapes[line].lower()), raw))
    for (_, number), (line, raw) in zip(bad, lines.of_records, strict=True):
        read.rejects.append(Reject(line, task.faults[number - 1].column, task.faults[number - 1].reason, raw))
    return read


def _find_broken_line(connection: duckdb.DuckDBPyConnection, name: str) -> int | None:
    """Return the first line that holds the beginning of a field with a line's end in it, None when none is found."""
    texts = ", ".join(f'"{column}"' for column, spec in FILES[name].items() if spec.type == "text")
    # Before the first such row, rows and lines go in step.
    found = connection.execute(f"""
        SELECT line FROM reject_errors WHERE contains(csv_line, chr(10))
        UNION ALL
        SELECT rowid + 1 FROM checked WHERE contains(concat_ws('', {texts or "''"}), chr(10))
        ORDER BY 1
    """).fetchone()
    return found[0] if found else None
