"""The lines of a CSV file as they stand on the disk: how many hold a row, and the text of those asked for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

CHUNK_BYTES = 1 << 26
NEWLINE, RETURN = 10, 13


@dataclass
class Lines:
    """What `find_lines` found.

    Attributes
    ----------
    rows : int
        Lines after the first that are not empty.
    of_records : list of (int, str)
        Number (from 1, the header's) and text of the line of each record asked for, in their order.
    misshapen : list of (int, str)
        The same for the lines that are no record.
    """

    rows: int = 0
    of_records: list[tuple[int, str]] = field(default_factory=list)
    misshapen: list[tuple[int, str]] = field(default_factory=list)


def find_lines(path: Path, records: list[int], misshapen: list[int]) -> Lines:
    """Count a file's rows, and find the lines of some records.

    Parameters
    ----------
    path : Path
        A CSV file with a header.
    records : list of int
        Records, rising, counted from 1 over the lines that are neither empty nor misshapen.
    misshapen : list of int
        Lines, rising, that are no record.
    """
    found, line, record = Lines(), 0, 0
    for text, starts, ends in _chunks(path):
        numbers = line + 1 + np.arange(len(starts))
        is_row = (ends > starts) & (numbers > 1)
        is_misshapen = np.isin(numbers, misshapen)
        is_record = is_row & ~is_misshapen
        in_records = record + np.cumsum(is_record)
        for mask, into in (
            (is_record & np.isin(in_records, records), found.of_records),
            (is_row & is_misshapen, found.misshapen),
        ):
            for at in np.flatnonzero(mask):
                into.append((int(numbers[at]), text[starts[at] : ends[at]].decode("utf-8", "replace")))
        found.rows += int(is_row.sum())
        line, record = line + len(starts), record + int(is_record.sum())
    return found


def _chunks(path: Path) -> Iterator[tuple[bytes, np.ndarray, np.ndarray]]:
    """Yield whole lines, many at a time: their bytes, and where each begins and ends in them."""
    with path.open("rb") as file:
        rest = b""
        while chunk := file.read(CHUNK_BYTES):
            text = rest + chunk
            last = text.rfind(b"\n") + 1
            rest = text[last:]
            if last:
                yield _cut(text[:last])
        if rest:
            yield _cut(rest + b"\n")


def _cut(text: bytes) -> tuple[bytes, np.ndarray, np.ndarray]:
    codes = np.frombuffer(text, dtype=np.uint8)
    newlines = np.flatnonzero(codes == NEWLINE)
    starts = np.concatenate([[0], newlines[:-1] + 1])
    has_return = (newlines > starts) & (codes[newlines - 1] == RETURN)
    return text, starts, newlines - has_return
