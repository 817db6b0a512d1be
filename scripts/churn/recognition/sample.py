"""Read a file once, packed or not, and keep a sample of its text: the beginning, pieces from all over it, the end."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from churn.recognition.encoding import Encoding, EncodingScan

CHUNK_BYTES = 1 << 20
HEAD_BYTES = 4 << 20
PIECE_BYTES = 1 << 15
MAX_PIECES = 64


@dataclass(frozen=True)
class Sample:
    """The encoding of a file, and parts of its text, each of whole lines that end in a newline.

    Attributes
    ----------
    head : str
        The beginning; the whole text of a file below 4 MB.
    pieces : list of str
        Parts of the rest, in order, the last of which is the end of the file.
    size : int
        The number of bytes after unpacking.
    line_end : str
        "\\n", "\\r\\n" or "\\r".
    """

    encoding: Encoding
    head: str
    pieces: list[str]
    size: int
    line_end: str


@dataclass
class _Bytes:
    """The bytes to keep, in bounded memory: when there are too many pieces, every second is dropped."""

    head: bytearray = field(default_factory=bytearray)
    pieces: list[bytes] = field(default_factory=list)
    tail: bytes = b""
    size: int = 0
    stride: int = 1
    number: int = 0

    def feed(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if len(self.head) < HEAD_BYTES:
            self.head += chunk
            return
        if self.number % self.stride == 0:
            self.pieces.append(chunk[:PIECE_BYTES])
        if len(self.pieces) > MAX_PIECES:
            self.pieces, self.stride = self.pieces[::2], self.stride * 2
        self.number += 1
        # Chunks have an even number of bytes, so that a character of UTF-16 is never cut.
        tail = self.tail + chunk
        self.tail = tail[max(0, len(tail) - PIECE_BYTES) // 2 * 2 :]


def read_sample(path: Path) -> Sample:
    """Read a file, packed with gzip if its name ends in .gz, in bounded memory.

    Raises
    ------
    OSError, EOFError, zlib.error
        When it cannot be read or unpacked.
    """
    scan, kept = EncodingScan(), _Bytes()
    for chunk in _read_chunks(path):
        scan.feed(chunk)
        kept.feed(chunk)
    encoding = scan.result()
    is_whole = kept.size == len(kept.head)
    head = bytes(kept.head).decode(encoding.codec, errors="replace").removeprefix("\ufeff")
    line_end = "\r\n" if "\r\n" in head else "\n" if "\n" in head else "\r" if "\r" in head else "\n"
    head = head if is_whole else _lines(head, cut_start=False)
    pieces = [_lines(piece.decode(encoding.codec, errors="replace")) for piece in kept.pieces]
    tail = _lines(kept.tail.decode(encoding.codec, errors="replace"), cut_end=False)
    parts = [head, *([] if is_whole else [*pieces, tail])]
    head, *pieces = [part.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "") for part in parts]
    return Sample(encoding, head, pieces, kept.size, line_end)


def _read_chunks(path: Path) -> Iterator[bytes]:
    file: IO[bytes]
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:  # type: ignore[assignment]
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _lines(text: str, cut_start: bool = True, cut_end: bool = True) -> str:
    """Return the whole lines of a part of a text."""
    end = "\n" if "\n" in text else "\r"
    if cut_start:
        text = text.partition(end)[2]
    return text.rpartition(end)[0] + end if cut_end else text
