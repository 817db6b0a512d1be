"""Recognise how a file is cut into fields: its delimiter, its quote, and which line is the header."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from churn.data.contract import FILES
from churn.data.fields import BLANKS
from churn.recognition.sample import Sample

DELIMITERS = (",", ";", "\t", "|")
QUOTES = ('"', "'")
SEARCHED_LINES = 40
COMPARED_LINES = 300
MAX_ROWS = 50_000
TAIL_ROWS = 2_000
MAX_RECORD_LINES = 20


@dataclass(frozen=True)
class Layout:
    """How a file is cut into fields.

    Attributes
    ----------
    header : list of str
        The delivered names of the columns.
    skip_lines : int
        The number of lines before the header, without a line like `sep=;`.
    has_hint : bool
        There is a line like `sep=;`.
    body : int
        The place in the text after the header's line.
    """

    delimiter: str
    quote: str
    header: list[str]
    skip_lines: int
    has_hint: bool
    body: int


def normal(name: str) -> str:
    """Return a column's name as names are compared: without case, quotes, and what is around it."""
    return name.strip(BLANKS + "\"'").casefold()


def count_columns(header: list[str], file: str) -> int:
    """Return how many columns of a file of the contract a header has."""
    found = set(map(normal, header))
    return sum(normal(column) in found for column in FILES[file])


def find_layout(text: str, files: Iterable[str] = FILES) -> Layout | None:
    """Find the header: the line and the delimiter that give most columns of one of these files of the contract.

    Returns
    -------
    Layout or None
        None if no line can be a header.
    """
    names = list(files)
    lines = _first_lines(text)
    best, best_score = None, (0, 0)
    for number, (line, end) in enumerate(lines):
        for delimiter in DELIMITERS:
            cells = _split(line, delimiter, '"')
            score = (max(count_columns(cells, name) for name in names), len(cells))
            if score[0] and score > best_score:
                best, best_score = (number, delimiter, end), score
    if not best:
        best = _find_by_shape(lines)
    if not best:
        return None
    number, delimiter, end = best
    quote = _find_quote(text[end:], delimiter)
    header = [cell.strip(BLANKS) for cell in _split(lines[number][0], delimiter, quote)]
    hints = sum(bool(re.fullmatch(r"sep=.\s*", line, re.IGNORECASE)) for line, _ in lines[:number])
    return Layout(delimiter, quote, header, number - hints, bool(hints), end)


def read_rows(sample: Sample, layout: Layout) -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows of a sample: those of its beginning and its pieces, and those of its end."""
    lines = sample.head[layout.body :].split("\n")
    first = list(_records(lines[:MAX_ROWS], layout))
    last = lines[MAX_ROWS:]
    if sample.pieces:
        for piece in sample.pieces[:-1]:
            first += _records(piece.split("\n"), layout)
        last = sample.pieces[-1].split("\n")
    return first, list(_records(last[-TAIL_ROWS:], layout))


def _first_lines(text: str) -> list[tuple[str, int]]:
    """Return the first lines, each with the place after it."""
    lines: list[tuple[str, int]] = []
    begin = 0
    while len(lines) < SEARCHED_LINES and begin < len(text):
        end = text.find("\n", begin)
        end = len(text) if end < 0 else end
        lines.append((text[begin:end], end + 1))
        begin = end + 1
    return lines


def _split(line: str, delimiter: str, quote: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, quotechar=quote), [])
    except csv.Error:
        return line.split(delimiter)


def _find_by_shape(lines: list[tuple[str, int]]) -> tuple[int, str, int] | None:
    """Find the header by the number of fields that most lines have, if no column has a known name."""
    best, best_score = None, (0.0, 0)
    for delimiter in DELIMITERS:
        sizes = [len(_split(line, delimiter, '"')) for line, _ in lines]
        size, times = Counter(sizes).most_common(1)[0] if sizes else (0, 0)
        score = (times / max(len(sizes), 1), size)
        if size > 1 and score > best_score:
            number = sizes.index(size)
            cells = _split(lines[number][0], delimiter, '"')
            if all(re.search(r"[^\W\d_]", cell) for cell in cells):
                best, best_score = (number, delimiter, lines[number][1]), score
    return best


def _find_quote(text: str, delimiter: str) -> str:
    lines = text[: 1 << 18].split("\n")[:COMPARED_LINES]
    cells = [cell.strip() for line in lines for cell in line.split(delimiter) if cell]
    closed = {quote: sum(len(cell) > 1 and cell[0] == cell[-1] == quote for cell in cells) for quote in QUOTES}
    # A single quote that is not closed is the mark with which Excel keeps a text as it is.
    opened = sum(cell.startswith("'") and not cell.endswith("'") for cell in cells)
    return "'" if closed["'"] > max(opened, closed['"']) else '"'


def _records(lines: list[str], layout: Layout) -> Iterator[list[str]]:
    """Yield the rows; a quote that is never closed costs its own line only."""
    place = 0
    while place < len(lines):
        line = lines[place]
        place += 1
        if layout.quote not in line:
            if line.strip(BLANKS):
                yield line.split(layout.delimiter)
            continue
        if line.count(layout.quote) % 2:
            for end in range(place, min(place + MAX_RECORD_LINES, len(lines))):
                if lines[end].count(layout.quote) % 2:
                    line, place = "\n".join(lines[place - 1 : end + 1]), end + 1
                    break
        yield _split(line, layout.delimiter, layout.quote)
