"""Write a CSV again in UTF-8, if it is delivered in another encoding."""

import codecs
from pathlib import Path

from churn.base.command import UserError
from churn.data.header import CHECK

BLOCK = 1 << 22
IS_UTF8 = {codecs.lookup(name) for name in ("utf-8", "utf-8-sig", "ascii")}


def is_utf8(encoding: str) -> bool:
    """Return whether a file in this encoding can be read as it is."""
    return codecs.lookup(encoding) in IS_UTF8


def transcode(path: Path, encoding: str, target: Path) -> None:
    """Write a text in UTF-8.

    Bytes that the encoding does not have are kept: the rows that contain them are then rejected as not being UTF-8.

    Raises
    ------
    UserError
        When the file is missing or cannot be decoded at all.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing.")
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape" if _keeps_bytes(encoding) else "replace")
    with path.open("rb") as source, target.open("wb") as new:
        try:
            while block := source.read(BLOCK):
                new.write(decoder.decode(block).encode("utf-8", "surrogateescape"))
            new.write(decoder.decode(b"", final=True).encode("utf-8", "surrogateescape"))
        except UnicodeError as error:
            raise UserError(f"{path} is not in the encoding {encoding} ({error}). {CHECK}") from None


def _keeps_bytes(encoding: str) -> bool:
    return len("a".encode(encoding)) == 1
