"""The lines of a file in any encoding, and a copy without some of them in which every other byte stays."""

import codecs
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from churn.recognition.encoding import find_utf16

BLOCK, BEGIN = 1 << 26, 1 << 12
NEWLINE, RETURN = 10, 13


def drop_lines(source: Path, lines: np.ndarray, target: Path, encoding: str = "utf-8") -> None:
    """Copy a file without some lines.

    Parameters
    ----------
    source, target : Path
        The file, and the copy to write.
    lines : numpy.ndarray
        int64: the lines to leave out, from 0, in ascending order. A line ends in LF, CRLF or CR.
    encoding : str
        The file's encoding.
    """
    kind = _unit(source, encoding)
    size = source.stat().st_size // kind.itemsize
    data = np.memmap(source, dtype=kind, mode="r", shape=(size,)) if size else np.empty(0, kind)
    at, number = 0, 0
    with target.open("wb") as new:
        while at < size:
            ends = find_ends(data, at, min(size, at + BLOCK))
            here = lines[np.searchsorted(lines, number) : np.searchsorted(lines, number + len(ends))] - number
            starts = np.concatenate([[at], ends[:-1]])
            begin = at
            for line in here.tolist():
                new.write(data[begin : starts[line]].tobytes())
                begin = ends[line]
            new.write(data[begin : ends[-1]].tobytes())
            at, number = int(ends[-1]), number + len(ends)
        with source.open("rb") as file:
            file.seek(size * kind.itemsize)
            new.write(file.read())


def text_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a text with their ends, in UTF-16 or any encoding that writes ASCII in single bytes."""
    with path.open("rb") as file:
        encoding = find_utf16(file.read(BEGIN))
        file.seek(0)
        if not encoding:
            for block in file:
                yield from block.splitlines(keepends=True)
            return
    with path.open(encoding=encoding, errors="surrogatepass", newline="") as text:
        for line in text:
            yield line.encode(encoding, "surrogatepass")


def find_ends(data: np.ndarray, begin: int, end: int) -> np.ndarray:
    """Return where the lines end that begin at `begin` or after it; at least one, and beyond `end` if it is long."""
    while True:
        block, after = data[begin:end], data[begin + 1 : end + 1]
        is_end = block == NEWLINE
        is_return = block == RETURN
        is_return[: len(after)] &= after != NEWLINE
        found = np.flatnonzero(is_end | is_return) + begin + 1
        if end >= len(data):
            return found if len(found) and found[-1] == len(data) else np.append(found, len(data))
        if len(found):
            return np.asarray(found)
        end = min(len(data), end + BLOCK)


def _unit(path: Path, encoding: str) -> np.dtype:
    """Return the type of the units of which an encoding's characters consist."""
    name = codecs.lookup(encoding).name
    width = 4 if "32" in name and name.startswith("utf") else 2 if name.startswith("utf-16") else 1
    if width == 1:
        return np.dtype(np.uint8)
    with path.open("rb") as file:
        mark = file.read(width)
    is_big = mark in (codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE) or (mark[:2] != b"\xff\xfe" and name.endswith("be"))
    return np.dtype(f"{'>' if is_big else '<'}u{width}")
