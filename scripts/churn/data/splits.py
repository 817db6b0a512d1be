"""A CSV file cut at its line ends, to be read by many at a time; and its lines as they stand on the disk."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SPLIT_BYTES = 1 << 26
NEWLINE, RETURN = 10, 13


@dataclass(frozen=True)
class Split:
    """Whole lines of a CSV file, from byte `begin` up to `end`: the `number`-th split (from 0) after the header."""

    path: Path
    number: int
    begin: int
    end: int

    def read(self) -> bytes:
        """Return the lines, the last one with its end."""
        with self.path.open("rb") as file:
            file.seek(self.begin)
            text = file.read(self.end - self.begin)
        return text if text.endswith(b"\n") else text + b"\n"


@dataclass
class Lines:
    """What `find_lines` found; lines are numbered from 1.

    Attributes
    ----------
    number : int
        How many lines there are.
    rows : int
        How many of them are not empty.
    of_records : list of (int, str)
        Number and text of the line of each record asked for, in their order.
    misshapen : list of (int, str)
        The same for the lines that are no record.
    """

    number: int
    rows: int
    of_records: list[tuple[int, str]] = field(default_factory=list)
    misshapen: list[tuple[int, str]] = field(default_factory=list)


def cut_file(path: Path) -> list[Split]:
    """Return the splits of a CSV file with a header, in its order; how it is cut depends on its bytes alone."""
    splits, size = [], path.stat().st_size
    with path.open("rb") as file:
        begin = len(file.readline())
        while begin < size:
            file.seek(begin + SPLIT_BYTES)
            file.readline()
            end = min(file.tell(), size)
            splits.append(Split(path, len(splits), begin, end))
            begin = end
    return splits


def find_lines(text: bytes, records: list[int], misshapen: list[int]) -> Lines:
    """Count the lines of a split, and find those of some records.

    Parameters
    ----------
    text : bytes
        What `Split.read` returned.
    records : list of int
        Records, rising, counted from 0 over the lines that are neither empty nor misshapen.
    misshapen : list of int
        Lines, rising, that are no record.
    """
    codes = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero(codes == NEWLINE)
    starts = np.concatenate([[0], ends[:-1] + 1])
    ends -= (ends > starts) & (codes[ends - 1] == RETURN)
    is_row = ends > starts
    found = Lines(len(ends), int(is_row.sum()))
    of_misshapen = np.array(misshapen, dtype=np.int64) - 1
    is_row[of_misshapen] = False
    row_lines = np.flatnonzero(is_row)
    of_records = row_lines[[record for record in records if record < len(row_lines)]] if records else []
    for numbers, into in (of_records, found.of_records), (of_misshapen, found.misshapen):
        into.extend((int(at) + 1, text[starts[at] : ends[at]].decode("utf-8", "replace")) for at in numbers)
    return found
