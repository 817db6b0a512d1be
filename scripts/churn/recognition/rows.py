"""Separate the rows of a file from what is not a row: repeated headers, lines of dashes, totals, footers."""

import re
from collections import Counter
from dataclasses import dataclass, field

from churn.data.contract import FILES, USER
from churn.data.fields import BLANKS
from churn.recognition.fields import Layout, normal
from churn.recognition.findings import Findings, counted, shown

TOTALS = ("total", "totals", "totales", "total general", "grand total", "subtotal", "suma", "sum")
FOOTER = re.compile(r"\(?\d[\d.,]* (rows?|filas?|registros?)( [\w ]+)?\)?\.?", re.IGNORECASE)
LAST_ROWS = 12
# Fewer malformed rows are rejected as any bad row is.
MANY = 0.01


@dataclass
class Table:
    """The values of a file's columns, with how often each occurs; blanks around them are removed.

    Attributes
    ----------
    rows : int
        The number of rows of the sample.
    values : dict of Counter
        By the contract's name of the column.
    extra : dict of Counter
        By the delivered name: the columns that are not in the contract.
    """

    rows: int = 0
    values: dict[str, Counter[str]] = field(default_factory=dict)
    extra: dict[str, Counter[str]] = field(default_factory=dict)

    def fill(self, header: list[str], file: str, rows: list[list[str]]) -> None:
        """Count the values of rows that have all fields."""
        self.rows = len(rows)
        contract = {normal(column): column for column in FILES[file]}
        for name, texts in zip(header, zip(*(row[: len(header)] for row in rows), strict=True), strict=False):
            counts: Counter[str] = Counter()
            for text, times in Counter(texts).items():
                counts[text.strip(" \t\r\n")] += times
            column = contract.get(normal(name))
            if column is None:
                self.extra[name] = counts
            elif column not in self.values:
                self.values[column] = counts
        for column in FILES[file]:
            if column in self.values or rows:
                continue
            if column.casefold() in map(normal, header):
                self.values[column] = Counter()


def find_rows(file: str, layout: Layout, first: list[list[str]], last: list[list[str]], found: Findings) -> Table:
    """Return the values of a file's rows; what is not a row is added to `found`.

    Parameters
    ----------
    file : str
        Its name in `contract.FILES`.
    first, last : list of list of str
        From `fields.read_rows`.
    """
    header = list(map(normal, layout.header))
    width = len(header)
    repeated = blank = 0
    rows: list[list[str]] = []
    marked: dict[str, Counter[str]] = {}
    malformed: Counter[int] = Counter()
    footers: list[str] = []
    positions = _positions(file, header)
    every = first + last
    for number, row in enumerate(every):
        if len(row) == width + 1 and not row[-1].strip(BLANKS):
            row = row[:-1]
        if len(row) == width and normal(row[0]) == header[0] and list(map(normal, row)) == header:
            repeated += 1
        elif not "".join(row).strip(BLANKS):
            blank += 1
        elif len(row) != width:
            if number >= len(every) - LAST_ROWS and sum(bool(cell.strip(BLANKS)) for cell in row) == 1:
                footers.append(next(cell.strip(BLANKS) for cell in row if cell.strip(BLANKS)))
            else:
                malformed[len(row)] += 1
        elif mark := _mark_of(row, positions):
            marked.setdefault(mark[0], Counter())[mark[1]] += 1
        else:
            rows.append(row)
    if repeated:
        found.add(
            ("skip", "repeated_headers"), True, f"The header is repeated {counted(repeated, 'time')} among the rows"
        )
    if blank:
        found.notes.append(f"{counted(blank, 'row')} with delimiters only")
    _add_marked(file, layout, marked, footers, found)
    _ask_malformed(file, width, malformed, len(rows), found)
    table = Table()
    table.fill(layout.header, file, rows)
    return table


def _positions(file: str, header: list[str]) -> dict[str, int]:
    """Return where the columns are that a mark may be in: those whose values never are words."""
    typed = [column for column, spec in FILES[file].items() if spec.type != "text"]
    typed.sort(key=lambda column: column != USER)
    return {column: header.index(normal(column)) for column in typed if normal(column) in header}


def _mark_of(row: list[str], positions: dict[str, int]) -> tuple[str, str] | None:
    """Return the column and the text that mark a line as no row: dashes in all its fields, or the word total."""
    for column, place in positions.items():
        text = row[place].strip(BLANKS)
        if not text or text[0].isdigit():
            continue
        if text.casefold().rstrip(":") in TOTALS or all("--" in cell and not cell.strip(" -") for cell in row):
            return column, text
    return None


def _add_marked(
    file: str, layout: Layout, marked: dict[str, Counter[str]], footers: list[str], found: Findings
) -> None:
    texts = {column: list(counts) for column, counts in marked.items()}
    evidence = {
        column: f"{counted(counts.total(), 'line')} with {', '.join(map(shown, counts))} as {column}: not a row"
        for column, counts in marked.items()
    }
    first = next((column for column in FILES[file] if normal(column) == normal(layout.header[0])), None)
    changing = []
    for text in footers:
        if first and FOOTER.fullmatch(text):
            texts.setdefault(first, []).append(text)
            changing.append(first)
            evidence[first] = f"The end of the file has {shown(text)}, which is not a row"
        else:
            found.questions.append(
                f"{file}: is {shown(text)} at its end a row? Without a mapping it is rejected as a bad row."
            )
    for column, values in texts.items():
        alternative = "leave it out: the text changes every week, and the line is then rejected as a bad row"
        is_changing = column in changing
        found.add(
            ("skip", "rows", column), values, evidence[column], not is_changing, alternative if is_changing else ""
        )


def _ask_malformed(file: str, width: int, malformed: Counter[int], rows: int, found: Findings) -> None:
    for size, times in malformed.most_common(3):
        if times >= max(3, MANY * rows):
            found.questions.append(
                f"{file}: {counted(times, 'row')} have {counted(size, 'field')}, but the header has {width}. Is there "
                "a delimiter in a value without quotes? No mapping can repair it: deliver the file again."
            )
