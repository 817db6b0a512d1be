"""Recognise the encoding of a file from its bytes, one chunk at a time."""

import codecs
from collections import Counter
from dataclasses import dataclass

from churn.data.contract import MAX_LINE_BYTES

BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# Lines are counted in so many chunks with characters beyond ASCII; whether they are UTF-8 is checked in all.
COUNTED_CHUNKS = 48
# The encodings of one byte per character that exporters use in Spanish and Portuguese, most common first.
ONE_BYTE = ("windows-1252", "cp850", "mac_roman")
LETTERS = frozenset("áéíóúüñÁÉÍÓÚÜÑçÇãõâêôàºª°¿¡€\u00a0")


@dataclass(frozen=True)
class Encoding:
    """The encoding of a file.

    Attributes
    ----------
    name : str
        As in the mapping.
    codec : str
        Decodes any part of the file: UTF-16 with its byte order.
    evidence : str
        Why it is this encoding.
    certain : bool
        No other encoding is likely.
    alternative : str
        The other encoding.
    is_marked : bool
        The file begins with a byte order mark.
    invalid_lines : int
        The number of lines that are not UTF-8 in a file that otherwise is.
    nul_bytes : int
        The number of NUL bytes, which mean lost data; 0 in UTF-16.
    """

    name: str
    codec: str
    evidence: str
    certain: bool = True
    alternative: str = ""
    is_marked: bool = False
    invalid_lines: int = 0
    nul_bytes: int = 0


class EncodingScan:
    """Look at all bytes of a file; call `feed` for each chunk, then `result`."""

    def __init__(self) -> None:
        self._wide = ""
        self._mark = ""
        self._is_first = True
        self._rest = b""
        self._chunks = 0
        self._valid = 0
        self._invalid = 0
        self._nul_bytes = 0
        self._high: Counter[int] = Counter()
        self._odd_text = b""

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        if self._is_first:
            self._is_first = False
            self._mark = next((name for mark, name in BYTE_ORDER_MARKS.items() if chunk.startswith(mark)), "")
            self._wide = find_utf16(chunk)
        if self._wide:
            return
        # UTF-8 never has these bytes within a character, so whole lines can be decoded on their own.
        text = self._rest + chunk
        end = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
        if not end and len(text) > MAX_LINE_BYTES:
            end = len(text)
        self._rest = text[end:]
        self._look(text[:end])

    def result(self) -> Encoding:
        """Return the encoding."""
        self._look(self._rest)
        self._rest = b""
        if self._wide:
            if self._mark:
                return Encoding(
                    "utf-16", self._wide, "The file begins with the byte order mark of UTF-16", is_marked=True
                )
            return Encoding(self._wide, self._wide, "Every second byte is 0 and there is no byte order mark")
        if self._invalid and self._invalid >= self._valid and not self._mark:
            return self._one_byte()
        return Encoding(
            "utf-8",
            "utf-8",
            f"{self._valid:,} lines beyond ASCII are UTF-8" if self._valid else "All characters are ASCII",
            is_marked=bool(self._mark),
            invalid_lines=self._invalid,
            nul_bytes=self._nul_bytes,
        )

    def _look(self, lines: bytes) -> None:
        if b"\0" in lines:
            self._nul_bytes += lines.count(b"\0")
        if lines.isascii():
            return
        self._chunks += 1
        try:
            lines.decode("utf-8")
        except UnicodeDecodeError:
            is_valid = False
        else:
            is_valid = True
        if self._chunks > COUNTED_CHUNKS:
            self._valid, self._invalid = self._valid + is_valid, self._invalid + (not is_valid)
            return
        for line in lines.splitlines():
            if line.isascii():
                continue
            if is_valid or _is_utf8(line):
                self._valid += 1
            else:
                self._invalid += 1
                high = bytes(byte for byte in line if byte >= 0x80)
                self._high.update(high)
                if len(self._odd_text) < MAX_LINE_BYTES:
                    self._odd_text += high

    def _one_byte(self) -> Encoding:
        shares = {name: _share_of_letters(self._odd_text, name) for name in ONE_BYTE}
        name = max(ONE_BYTE, key=lambda one: shares[one])
        common = ", ".join(f"0x{byte:02X}" for byte, _ in self._high.most_common(4))
        lines = "1 line is" if self._invalid == 1 else f"{self._invalid:,} lines are"
        evidence = f"{lines} not UTF-8 (bytes {common}); as {name}, {shares[name]:.0%} of these bytes are letters"
        if self._valid:
            evidence += (
                f"; but {self._valid:,} others are UTF-8, and would be read wrongly: was the file joined from two?"
            )
        is_certain = name == "windows-1252" and shares[name] > 0.9 and not self._valid
        other = "" if is_certain else next(one for one in ONE_BYTE if one != name)
        return Encoding(name, name, evidence, is_certain, other, nul_bytes=self._nul_bytes)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def find_utf16(begin: bytes) -> str:
    """Return the UTF-16 codec of a text that begins with these bytes, by its mark or its zero bytes, or ""."""
    mark = next((name for mark, name in BYTE_ORDER_MARKS.items() if begin.startswith(mark)), "")
    return mark if mark.startswith("utf-16") else _find_wide(begin)


def _find_wide(chunk: bytes) -> str:
    """Return the UTF-16 codec of a text without a byte order mark, or ""."""
    even, odd = chunk[0:4096:2], chunk[1:4096:2]
    if len(odd) < 4:
        return ""
    nul_even, nul_odd = even.count(0) / len(even), odd.count(0) / len(odd)
    if nul_odd > 0.6 and nul_even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if nul_even > 0.6 and nul_odd < 0.1 else ""


def _share_of_letters(high: bytes, name: str) -> float:
    text = high.decode(name, errors="replace")
    return sum(character in LETTERS for character in text) / max(len(text), 1)
