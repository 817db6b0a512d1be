"""Read the header of a CSV: which column of the contract is where, and where the rows begin."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from churn.base.command import UserError
from churn.base.printable import printable
from churn.data.contract import FILES, MAX_LINE_BYTES
from churn.data.fields import BLANKS
from churn.data.mapping import MAPPING, Dialect

MARK = b"\xef\xbb\xbf"
SAMPLE_ROWS = 50
# A name of a column: it has no delimiters and line breaks, and does not begin with a digit.
NAME = re.compile(r"[^\W\d][\w .:/()#%-]{0,59}")
CHECK = "See how to read it: make check SOURCE=<folder of the delivery>"


@dataclass(frozen=True)
class Header:
    """The header of a CSV.

    Attributes
    ----------
    columns : list of str
        A name for each field: that of the contract, or else one that begins with "extra ".
    extra : list of str
        The delivered names of the columns that are not in the contract.
    begin : int
        The byte where the rows begin.
    lines : int
        The number of lines before the rows.
    sample : list of list of str
        The fields of the first rows.
    """

    columns: list[str]
    extra: list[str]
    begin: int
    lines: int
    sample: list[list[str]]


def read_header(source: Path, path: Path, dialect: Dialect) -> Header:
    """Read the header of a CSV in UTF-8.

    Parameters
    ----------
    source : Path
        The CSV, or a copy in UTF-8.
    path : Path
        The delivered CSV, named as in `contract.FILES`.
    dialect : Dialect
        How it is written.

    Raises
    ------
    UserError
        When the file is missing, is a folder, is empty, is not UTF-8, or lacks or repeats a column.
    """
    name = path.name
    if not source.is_file():
        found = "is a folder" if path.is_dir() else "is missing"
        raise UserError(f"{path} {found}. A drop needs the five files {', '.join(FILES)}.")
    with source.open("rb") as file:
        head = file.read(MAX_LINE_BYTES)
    line, begin, lines = _find_line(head, dialect)
    cells = _split(path, line, lines, dialect)
    expected = {_normal(dialect.columns.get(column, column)): column for column in FILES[name]}
    if not any(map(_normal, cells)):
        raise UserError(f"{path} is empty. Its first line must be {dialect.delimiter.join(FILES[name])}")
    found_names = [expected.get(_normal(cell)) for cell in cells]
    _check_columns(path, name, lines, dialect, cells, [column for column in found_names if column])
    sample = _sample(head[begin:], dialect)
    # Many exporters end each line, but not the header, in a delimiter.
    if sample and all(len(row) == len(cells) + 1 and not row[-1].strip() for row in sample):
        cells, found_names = [*cells, ""], [*found_names, None]
    columns = [column or f"extra {place}" for place, column in enumerate(found_names, start=1)]
    extra = [
        name_column(cell.strip(BLANKS), place + 1)
        for place, (cell, column) in enumerate(zip(cells, found_names, strict=True))
        if not column and (cell.strip(BLANKS) or any(row[place].strip() for row in sample if place < len(row)))
    ]
    return Header(columns, extra, begin, lines, sample)


def name_column(cell: str, place: int) -> str:
    """Return a delivered column's name for a message, or its number: a cell of another kind may be of a row.

    After an unclosed quote, the last cell of a header goes on for lines.
    """
    if not cell:
        return f"number {place} (without a name)"
    return cell if NAME.fullmatch(cell) else f"number {place} (not a name)"


def _normal(cell: str) -> str:
    return cell.strip(BLANKS).casefold()


def _find_line(head: bytes, dialect: Dialect) -> tuple[bytes, int, int]:
    """Return the header's line, the byte after it, and its number."""
    begin, number, mark = 0, 0, len(MARK) if head.startswith(MARK) else 0
    to_skip = dialect.skip_lines
    while True:
        ended = re.compile(rb"\r\n|\n|\r").search(head, begin)
        line, begin, number = (
            head[begin : ended.start() if ended else None],
            ended.end() if ended else len(head),
            number + 1,
        )
        if number == 1:
            line = line[mark:]
        while line.count(dialect.quote.encode()) % 2 and begin < len(head):
            more = re.compile(rb"\r\n|\n|\r").search(head, begin)
            line += b" " + head[begin : more.start() if more else None]
            begin, number = more.end() if more else len(head), number + 1
        is_row = line.strip() and not re.fullmatch(rb"sep=.\s*", line, re.IGNORECASE)
        if (is_row and to_skip <= 0) or begin >= len(head):
            return line, begin, number
        to_skip -= 1


def _split(path: Path, line: bytes, number: int, dialect: Dialect) -> list[str]:
    try:
        text = line.decode()
        return next(csv.reader([text], delimiter=dialect.delimiter, quotechar=dialect.quote), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path}, line {number}: cannot be read as CSV in UTF-8 ({error}). Save the file as UTF-8. {CHECK}"
        ) from None


def _check_columns(path: Path, name: str, line: int, dialect: Dialect, cells: list[str], found: list[str]) -> None:
    columns = FILES[name]
    delivered = {column: dialect.columns.get(column, column) for column in columns}
    if missing := [delivered[column] for column in columns if column not in found]:
        here = dialect.delimiter.join(cells)
        renamed = f" ({MAPPING} names it)" if set(missing) & set(dialect.columns.values()) else ""
        raise UserError(
            f"{path}, line {line}: column {', '.join(missing)} is missing{renamed}. {CHECK}\n"
            f"Found: {printable(here[:500])}\nExpected (in any order): {dialect.delimiter.join(delivered.values())}"
        )
    if repeated := sorted({column for column in found if found.count(column) > 1}):
        raise UserError(
            f"{path}, line {line}: column {', '.join(repeated)} appears more than once. Remove one of them."
        )


def _sample(rows: bytes, dialect: Dialect) -> list[list[str]]:
    """Return the fields of the first rows, without the last, which may be cut."""
    text = rows[: MAX_LINE_BYTES // 4].decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = (line + "\n" for line in text.split("\n") if line.strip())
    sample: list[list[str]] = []
    try:
        for row in csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote):
            sample.append(row)
            if len(sample) == SAMPLE_ROWS:
                break
    except csv.Error:
        pass
    return sample
