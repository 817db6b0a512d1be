"""Receive a delivery: copy its five files, unpacked and under their own names, to a folder that only we write to.

All checks read these copies, so that nothing that happens to the delivery in the meantime changes what was checked.
"""

import gzip
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from churn.base.command import UserError
from churn.base.printable import printable
from churn.deliveries.file_names import PACKED, choose_names, is_leftover, list_names
from churn.deliveries.formats import explain_content, explain_format
from churn.deliveries.inbox_layout import READY, REASON
from churn.deliveries.regular_files import open_folder, open_regular, require_regular, special_kind, unreadable

CHUNK_BYTES, MIN_LINE_BYTES = 1 << 20, 3


class DiskFullError(UserError):
    """The disk is full, which is not the delivery's fault: it can be ingested later."""


@dataclass(frozen=True)
class Limits:
    """The largest files and lines, and the highest ratio of packing, that are accepted.

    Attributes
    ----------
    unpacked_bytes : int
        The size of a packed file, once it is unpacked.
    ratio : int
        How many times larger than the packed file the unpacked one may be. CSVs are 5 to 50 times larger.
    any_ratio_bytes : int
        Up to this size, every ratio is accepted.
    header_bytes, line_bytes : int
        The length of the first line, and of any other. A line over 2 MB is rejected later, as a row.
    lines : int
        A file may have more lines than this only if they have three bytes on average; a row needs five.
    free_bytes : int
        What must remain free on the disk.
    """

    unpacked_bytes: int = 64 << 30
    ratio: int = 200
    any_ratio_bytes: int = 100 << 20
    header_bytes: int = 100_000
    line_bytes: int = 16 << 20
    lines: int = 1_000_000
    free_bytes: int = 256 << 20


LIMITS = Limits()


@dataclass(frozen=True)
class Received:
    """The copies of a delivery's five files.

    Attributes
    ----------
    source : Path
        The delivery.
    folder : Path
        The folder with the copies.
    names : dict of str
        The sender's name of each file.
    """

    source: Path
    folder: Path
    names: dict[str, str]

    @contextmanager
    def named_as_delivered(self) -> Iterator[None]:
        """Make the errors raised inside name the sender's files, not the copies."""
        try:
            yield
        except UserError as error:
            text = str(error)
            for name, own in self.names.items():
                text = text.replace(str(self.folder / name), printable(self.source / own))
            raise UserError(text.replace(str(self.folder), printable(self.source))) from None


def receive_delivery(
    source: Path, folder: Path, patterns: dict[str, str], follow_links: bool, limits: Limits = LIMITS
) -> Received:
    """Copy a delivery's five files to a new folder.

    Parameters
    ----------
    source : Path
        The delivery.
    folder : Path
        The folder to create; if an error is raised, it does not exist.
    patterns : dict of str
        `Mapping.names`: the delivered names of the files that have other names.
    follow_links : bool
        Read the files and folders that links lead to: only for a user's own folder, never for the inbox.
    limits : Limits
        What a file may be.

    Raises
    ------
    UserError
        When the delivery lacks a file, has one twice, has anything but regular files, has a file that cannot be read or
        unpacked or is not a CSV, or changes in the meantime.
    DiskFullError
        When the disk has no room for the copies.
    """
    with open_folder(source, follow_links) as inside:
        try:
            names = _choose_files(source, inside, patterns, follow_links)
            before = {own: _stamp(own, inside, follow_links) for own in names.values()}
        except OSError as error:
            raise unreadable(source, error) from None
        _check_space(folder.parent, sum(size for _, size, *_ in before.values()), source, limits)
        folder.mkdir()
        try:
            for name, own in names.items():
                with (
                    open_regular(source / own, inside, follow_links) as read,
                    (folder / name).open("xb") as write,
                ):
                    _copy_file(read, write, source / own, name, limits)
            for own, stamp in before.items():
                if _stamp(own, inside, follow_links) != stamp:
                    raise UserError(
                        f"{printable(source / own)} changed while it was copied. Wait until the delivery is complete, "
                        "then ingest it again."
                    )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return Received(source, folder, names)


def _choose_files(source: Path, inside: int, patterns: dict[str, str], follow_links: bool) -> dict[str, str]:
    """Return the sender's name of each of the five files; print which others are ignored."""
    with os.scandir(inside) as entries:
        found = {entry.name: entry.stat(follow_symlinks=False).st_mode for entry in entries}
    found = {name: mode for name, mode in found.items() if not is_leftover(name)}
    for name, mode in sorted(found.items()):
        if not follow_links and special_kind(mode):
            require_regular(source / name, mode)
    names = choose_names(source, found, patterns)
    if others := sorted(set(found) - {*names.values(), READY, REASON}):
        print(f"Ignored in {printable(source)}: {list_names(others)}")
    return names


def _stamp(name: str, inside: int, follow_links: bool) -> tuple[int, int, int, int]:
    """Return what changes when a file is replaced or written to; the second is its size."""
    try:
        found = os.stat(name, dir_fd=inside, follow_symlinks=follow_links)
    except FileNotFoundError:
        return (0, 0, 0, 0)
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _copy_file(read: BinaryIO, write: BinaryIO, source: Path, name: str, limits: Limits) -> None:
    """Copy one file, and unpack it if its name ends in .gz."""
    packed = source.name.casefold().endswith(PACKED)
    size = os.fstat(read.fileno()).st_size
    begin = _read(read, source, CHUNK_BYTES, peek=True)
    if wrong := explain_format(begin, name, packed):
        raise UserError(f"{printable(source)} {wrong}")
    if packed:
        with gzip.GzipFile(fileobj=read) as unpacked:
            if wrong := explain_content(_read(unpacked, source, CHUNK_BYTES, peek=True)):
                raise UserError(f"{printable(source)} {wrong}")
            _copy_lines(unpacked, write, source, size, limits, packed)
    else:
        _copy_lines(read, write, source, size, limits, packed)


def _copy_lines(
    read: BinaryIO | gzip.GzipFile, write: BinaryIO, source: Path, size: int, limits: Limits, packed: bool
) -> None:
    """Copy bytes up to the end of a file, and count lines and bytes on the way.

    A file that is not packed is copied up to the size that it had: one that somebody writes to may have no end.
    """
    copied, line, in_line = 0, 1, 0
    while chunk := _read(read, source, CHUNK_BYTES if packed else min(CHUNK_BYTES, size - copied)):
        copied += len(chunk)
        if packed:
            _check_ratio(source, copied, size, limits)
        if copied % (64 * CHUNK_BYTES) < len(chunk):
            _check_space(Path(write.name).parent, 0, source, limits)
        end = min((at for at in (chunk.find(b"\n"), chunk.find(b"\r")) if at >= 0), default=-1)
        most = limits.header_bytes if line == 1 else limits.line_bytes
        if in_line + (len(chunk) if end < 0 else end) > most:
            raise UserError(_explain_line(source, line, most))
        line += max(chunk.count(b"\n"), chunk.count(b"\r"))
        if line > max(limits.lines, copied // MIN_LINE_BYTES):
            raise UserError(
                f"{printable(source)} has {line:,} lines in {_size(copied)}: nearly all of them are empty. Deliver a "
                "table with one row per line."
            )
        last = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        in_line = in_line + len(chunk) if end < 0 else len(chunk) - last - 1
        write.write(chunk)


def _read(read: BinaryIO | gzip.GzipFile, source: Path, size: int, peek: bool = False) -> bytes:
    try:
        return read.peek(size) if peek else read.read(size)  # type: ignore[union-attr]
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{printable(source)} cannot be unpacked ({error}). Deliver the complete file again.") from None
    except OSError as error:
        raise unreadable(source, error) from None


def _check_ratio(source: Path, unpacked: int, packed: int, limits: Limits) -> None:
    if unpacked > limits.unpacked_bytes:
        raise UserError(
            f"{printable(source)} is larger than {_size(limits.unpacked_bytes)} when it is unpacked, which is the "
            "limit. Deliver only the rows of the period."
        )
    if unpacked > max(limits.any_ratio_bytes, limits.ratio * packed):
        raise UserError(
            f"{printable(source)} ({packed:,} bytes) becomes more than {limits.ratio} times as large when it is "
            f"unpacked ({_size(unpacked)} so far): it seems to be made to fill the disk. If it is a real table, "
            "deliver it as CSV, not packed."
        )


def _check_space(folder: Path, needed: int, source: Path, limits: Limits) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + limits.free_bytes:
        needed += limits.free_bytes
        raise DiskFullError(
            f"{printable(source)}: the disk of the drops has {_size(free)} free, and {_size(needed)} are needed "
            f"({_size(limits.free_bytes)} must remain free). Free disk space (docs/guides/operations.md), then "
            "ingest the delivery again."
        )


def _explain_line(source: Path, line: int, most: int) -> str:
    if line == 1:
        return (
            f"{printable(source)}, line 1: no line end in the first {_size(most)}. The first line must be the header: "
            "save the table as CSV with one row per line."
        )
    return (
        f"{printable(source)}, line {line}: longer than {_size(most)}. Save the table as CSV with one row per line, or "
        "deliver the complete file again."
    )


def _size(size: int) -> str:
    for unit, factor in ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1000):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} bytes"
