"""Count the characters and the fields in the lines of a CSV."""

import csv

import numpy as np

from churn.data.contract import MAX_LINE_BYTES

WINDOW = 1 << 20
# A quoted field may be long.
csv.field_size_limit(2 * MAX_LINE_BYTES)


def count_in_lines(text: bytes, ends: np.ndarray, character: str) -> np.ndarray:
    """Return how many of a character each line has."""
    if character.encode() not in text:
        return np.zeros(len(ends), dtype=np.int64)
    if len(character.encode()) > 1:
        return np.array([line.count(character.encode()) for line in text.split(b"\n")[: len(ends)]])
    view, counts = np.frombuffer(text, dtype=np.uint8), np.zeros(len(ends), dtype=np.int64)
    # Window by window: all places at once, in a line of 60 MB that is only delimiters, would need gigabytes.
    for begin in range(0, len(text), WINDOW):
        lines = np.searchsorted(ends, np.flatnonzero(view[begin : begin + WINDOW] == ord(character)) + begin)
        if len(lines):
            found = np.bincount(lines - lines[0])
            counts[lines[0] : lines[0] + len(found)] += found
    return counts


def count_fields(record: bytes, delimiter: str, quote: str) -> int:
    """Return the number of a record's fields, 0 if it is not one valid record."""
    try:
        lines = [f"{line}\n" for line in record.decode("utf-8", "replace").split("\n")]
        rows = list(csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=True))
    except csv.Error:
        return 0
    return len(rows[0]) if len(rows) == 1 else 0
