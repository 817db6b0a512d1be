"""Split a CSV file at line ends, so that it can be read in parallel, and look up the lines of records."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SPLIT_BYTES = 1 << 26
NEWLINE, RETURN = 10, 13


@dataclass(frozen=True)
class Split:
    """Whole lines of a CSV file, from byte `begin` up to `end`; `number` counts the splits from 0."""

    path: Path
    number: int
    begin: int
    end: int

    def read(self) -> bytes:
        """Return the lines; the last one also ends in a newline."""
        with self.path.open("rb") as file:
            file.seek(self.begin)
            text = file.read(self.end - self.begin)
        return text if text.endswith(b"\n") else text + b"\n"


@dataclass
class Lines:
    """The result of `find_lines`; lines are numbered from 1.

    Attributes
    ----------
    number : int
        The number of lines.
    rows : int
        The number of lines that are not empty.
    of_records : list of (int, str)
        Number and text of each requested record's line, in the order of the records.
    malformed : list of (int, str)
        The same for the malformed lines.
    """

    number: int
    rows: int
    of_records: list[tuple[int, str]] = field(default_factory=list)
    malformed: list[tuple[int, str]] = field(default_factory=list)


def cut_file(path: Path) -> list[Split]:
    """Return the splits of a CSV file with a header, in order; they depend only on the file's bytes."""
    splits: list[Split] = []
    size = path.stat().st_size
    with path.open("rb") as file:
        begin = len(file.readline())
        while begin < size:
            file.seek(begin + SPLIT_BYTES)
            file.readline()
            end = min(file.tell(), size)
            splits.append(Split(path, len(splits), begin, end))
            begin = end
    return splits


def find_lines(text: bytes, records: list[int], malformed: list[int]) -> Lines:
    """Count the lines of a split, and find the lines of some records.

    Parameters
    ----------
    text : bytes
        From `Split.read`.
    records : list of int
        Records in ascending order, counted from 0 over the lines that are neither empty nor malformed.
    malformed : list of int
        Lines that cannot be parsed as a record, in ascending order.
    """
    codes = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero(codes == NEWLINE)
    starts = np.concatenate([[0], ends[:-1] + 1])
    ends -= (ends > starts) & (codes[ends - 1] == RETURN)
    is_row = ends > starts
    found = Lines(len(ends), int(is_row.sum()))
    at_malformed = np.array(malformed, dtype=np.int64) - 1
    is_row[at_malformed] = False
    row_lines = np.flatnonzero(is_row)
    at_records = row_lines[np.array([record for record in records if record < len(row_lines)], dtype=np.int64)]
    for numbers, target in (at_records, found.of_records), (at_malformed, found.malformed):
        target.extend((int(at) + 1, text[starts[at] : ends[at]].decode("utf-8", "replace")) for at in numbers)
    return found
