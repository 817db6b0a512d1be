"""Find the records of a CSV: cut a file into splits that are read in parallel, and number the lines of records.

A record is a line, or several if a quoted field has line breaks.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

from churn.data.contract import MAX_LINE_BYTES
from churn.data.line_counts import WINDOW, count_fields, count_in_lines

SPLIT_BYTES = 1 << 26
SAMPLE_BYTES = 1 << 14
MAX_RECORD_LINES = 100
# After so many lines with an open quote, if they are most of those with quotes, the others count as open too: looking
# into each of millions would take minutes, and such a file is refused in any case.
MAX_OPEN = 50_000
MAX_MALFORMED = 100_000
NEWLINE = 10
# Programs for MS-DOS end a file in it.
END_OF_FILE = b"\x1a"
# Control characters: one replaces a line break within a field, as long as each record must be one line.
JOINTS = [bytes([code]) for code in (0x1E, 0x1D, 0x1C, 0x1F, *range(1, 9))]
NOT_CLOSED = "has a quote that is not closed, or text after it"
TOO_FEW, TOO_MANY = "has too few fields", "has too many fields"
HAS_NUL = "contains a NUL byte: part of the file was lost"
NO_JOINT = "has a line break in a field, among control characters"
# Why a record is not read.
REASONS = [NOT_CLOSED, TOO_FEW, TOO_MANY, HAS_NUL, NO_JOINT]


@dataclass(frozen=True)
class Split:
    """Whole records of a CSV file, from byte `begin` up to `end`; `number` counts the splits from 0."""

    path: Path
    number: int
    begin: int
    end: int

    def read(self) -> bytes:
        """Return the bytes."""
        with self.path.open("rb") as file:
            file.seek(self.begin)
            return file.read(self.end - self.begin)


def cut_file(path: Path, begin: int, fields: int, delimiter: str, quote: str) -> list[Split]:
    """Return the splits of a CSV file, which depend only on the file's bytes.

    Parameters
    ----------
    path : Path
        The CSV.
    begin : int
        The byte where its rows begin.
    fields, delimiter, quote : int, str, str
        As in `find_records`.
    """
    splits: list[Split] = []
    size = path.stat().st_size
    with path.open("rb") as file:
        while begin < size:
            end = size
            if begin + SPLIT_BYTES < size:
                end = _record_end(file, _line_end(file, begin + SPLIT_BYTES), fields, delimiter, quote)
            splits.append(Split(path, len(splits), begin, end))
            begin = end
    return splits


def _record_end(file: BinaryIO, end: int, fields: int, delimiter: str, quote: str) -> int:
    """Return where a record ends: at `end` or after it, before a line that is a record of its own.

    Counting quotes from the beginning would be wrong after a quote that belongs to a value.
    """
    at = end
    while at - end < MAX_LINE_BYTES:
        after = _line_end(file, at)
        file.seek(at)
        line = file.read(min(after - at, MAX_LINE_BYTES)).rstrip(b"\r\n")
        if after == at or (not line.count(quote.encode()) % 2 and count_fields(line, delimiter, quote) == fields):
            return at
        at = after
    return end


def _line_end(file: BinaryIO, position: int) -> int:
    """Return the byte after the line that `position` is in."""
    file.seek(position)
    while window := file.read(WINDOW):
        ended = re.search(rb"\r\n|\n|\r(?=[^\n])", window)
        if ended:
            return position + ended.end()
        position += len(window)
        if window.endswith(b"\r"):
            position -= 1
            file.seek(position)
            if len(window) == 1:
                return position + 1
    return position


@dataclass(frozen=True)
class Records:
    """The records of a split, from `find_records`; records and lines are counted from 0 here.

    Attributes
    ----------
    text : bytes
        The split with one record per line, each ended by a newline; a line break within a field is a `joint`.
    ends : numpy.ndarray
        int64 of shape (records,): the byte of each record's newline.
    joints : numpy.ndarray
        int64 of shape (joints,): the bytes of the line breaks within fields.
    joint : bytes
        The character there.
    excluded : numpy.ndarray
        int64: the records that are not to be read, in order.
    reasons : numpy.ndarray
        uint8 of the same shape: why, a place in REASONS.
    """

    text: bytes
    ends: np.ndarray
    joints: np.ndarray
    joint: bytes
    excluded: np.ndarray
    reasons: np.ndarray

    @cached_property
    def starts(self) -> np.ndarray:
        """int64 of shape (records,): the first byte of each record."""
        return np.concatenate([[0], self.ends[:-1] + 1]) if len(self.ends) else self.ends

    @property
    def lines(self) -> int:
        """The number of lines."""
        return len(self.ends) + len(self.joints)

    @cached_property
    def read(self) -> np.ndarray:
        """int64: the records to read, in order, among them empty ones."""
        every = np.arange(len(self.ends))
        return np.delete(every, self.excluded) if len(self.excluded) else every

    @property
    def rows(self) -> int:
        """The number of records to read that are not empty."""
        is_filled = np.diff(self.ends, prepend=-1) > 1
        return int(np.count_nonzero(is_filled) - np.count_nonzero(is_filled[self.excluded]))

    @cached_property
    def filled(self) -> np.ndarray:
        """int64: the records to read that are not empty, in order."""
        filled: np.ndarray = self.ends > self.starts
        return np.asarray(self.read[filled[self.read]])

    def to_read(self) -> bytes:
        """Return the text without the excluded records."""
        if not len(self.excluded):
            return self.text
        is_read = np.ones(len(self.ends), dtype=bool)
        is_read[self.excluded] = False
        in_text = np.repeat(is_read, self.ends - self.starts + 1)
        return bytes(np.frombuffer(self.text, dtype=np.uint8)[in_text])

    def locate(self, record: int) -> tuple[int, str]:
        """Return the number of a record's first line, from 1, and its text."""
        start = self.starts[record]
        line = record + 1 + int(np.searchsorted(self.joints, start))
        raw = self.text[start : self.ends[record]]
        return line, (raw.replace(self.joint, b"\n") if len(self.joints) else raw).decode("utf-8", "replace")


def find_records(text: bytes, fields: int, delimiter: str, quote: str, check_all: bool = False) -> Records:
    """Find the records of a split.

    Parameters
    ----------
    text : bytes
        From `Split.read`.
    fields : int
        The number of fields of a good record.
    delimiter, quote : str
        The characters between and around fields.
    check_all : bool
        Exclude each record whose number of fields is wrong; otherwise only those whose number of quotes is odd.
    """
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if text.endswith(END_OF_FILE):
        text = text.rstrip(END_OF_FILE)
    if not text.endswith(b"\n"):
        text += b"\n"
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == NEWLINE)
    quotes = count_in_lines(text, ends, quote)
    check_all = check_all or _is_malformed(text, len(ends), fields, delimiter, quote)
    joined, is_open = _check_quotes(text, ends, quotes, fields, delimiter, quote, check_all)
    wrong = [(is_open, NOT_CLOSED), (np.flatnonzero(count_in_lines(text, ends, "\0")), HAS_NUL)]
    if check_all:
        wrong += _check_fields(text, ends, quotes, fields, delimiter)
    joint = next((joint for joint in JOINTS if joint not in text), b"") if len(joined) else JOINTS[0]
    if not joint:
        wrong.append((np.union1d(joined, joined + 1), NO_JOINT))
        joined, joint = joined[:0], JOINTS[0]
    joints = ends[joined]
    if len(joined):
        writable = np.frombuffer(text, dtype=np.uint8).copy()
        writable[joints] = joint[0]
        text, ends = writable.tobytes(), np.delete(ends, joined)
    lines = np.concatenate([lines for lines, _ in wrong])
    reasons = np.concatenate([np.full(len(lines), REASONS.index(reason), dtype=np.uint8) for lines, reason in wrong])
    excluded, first = np.unique(lines - np.searchsorted(joined, lines), return_index=True)
    return Records(text, ends, joints, joint, excluded, reasons[first])


def _is_malformed(text: bytes, lines: int, fields: int, delimiter: str, quote: str) -> bool:
    """Return whether so many lines have too few or too many fields that DuckDB would take gigabytes to list them.

    Most of the first lines, or as many of all lines as their delimiters show; those in quotes do not count as too many.
    """
    first = [line for line in text[:SAMPLE_BYTES].split(b"\n")[:-1] if line and quote.encode() not in line]
    wrong = sum(line.count(delimiter.encode()) != fields - 1 for line in first)
    missing = (fields - 1) * lines - text.count(delimiter.encode())
    too_few, too_many = missing > (fields - 1) * MAX_MALFORMED, -missing > MAX_MALFORMED and quote.encode() not in text
    return 2 * wrong > len(first) or too_few or too_many


def _check_quotes(
    text: bytes, ends: np.ndarray, quotes: np.ndarray, fields: int, delimiter: str, quote: str, check_all: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lines (from 0) that go on in the next one, and those in which a quote is left open."""
    starts = np.concatenate([[0], ends[:-1] + 1])

    def is_record(first: int, last: int) -> bool:
        if last - first >= MAX_RECORD_LINES or ends[last] - starts[first] >= MAX_LINE_BYTES:
            return False
        lines = [text[starts[line] : ends[line]] for line in range(first, last + 1)]
        # Two quotes in good lines far apart would make one record of all lines in between.
        is_whole = [line.count(delimiter.encode()) >= fields - 1 for line in lines]
        if any(is_whole[1:-1]) or (last > first and is_whole[0] and is_whole[-1]):
            return False
        return count_fields(b"\n".join(lines), delimiter, quote) == fields

    go_on: list[int] = []
    is_open: list[int] = []
    suspects = np.flatnonzero(quotes % 2).tolist()
    place = 0
    while place < len(suspects):
        first = suspects[place]
        if len(is_open) > MAX_OPEN and 2 * len(is_open) > place:
            is_open += suspects[place:]
            break
        if not is_record(first, first):
            last = suspects[place + 1] if place + 1 < len(suspects) else first
            if last > first and is_record(first, last):
                go_on.extend(range(first, last))
                place += 1
            else:
                is_open.append(first)
        place += 1
    if check_all:
        joined = {*go_on, *(line + 1 for line in go_on), *is_open}
        even = [line for line in np.flatnonzero(quotes).tolist() if line not in joined]
        for seen, line in enumerate(even):
            if len(is_open) > MAX_OPEN and 2 * len(is_open) > seen:
                is_open += even[seen:]
                break
            if not is_record(line, line):
                is_open.append(line)
    return np.array(go_on, dtype=np.int64), np.array(is_open, dtype=np.int64)


def _check_fields(
    text: bytes, ends: np.ndarray, quotes: np.ndarray, fields: int, delimiter: str
) -> list[tuple[np.ndarray, str]]:
    """Return the lines without quotes that are not empty and have too few or too many fields, each with the reason."""
    found = count_in_lines(text, ends, delimiter) + 1
    is_plain = (np.diff(ends, prepend=-1) > 1) & (quotes == 0)
    return [
        (np.flatnonzero(is_plain & (found < fields)), TOO_FEW),
        (np.flatnonzero(is_plain & (found > fields)), TOO_MANY),
    ]
