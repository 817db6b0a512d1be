"""Open a delivery's files: never through a link, and without waiting for a FIFO or a device."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from churn.base.command import UserError
from churn.base.printable import printable

KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# Without O_NONBLOCK, opening a FIFO waits for somebody who writes to it.
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def special_kind(mode: int) -> str:
    """Return what is neither a regular file nor a folder, "" for these two."""
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else KINDS.get(stat.S_IFMT(mode), "a special file")


@contextmanager
def open_folder(path: Path, follow_links: bool = False) -> Iterator[int]:
    """Yield the descriptor of a folder.

    Raises
    ------
    UserError
        When it is not a folder or cannot be read.
    """
    mode = _stat(path, None, follow_links).st_mode
    if not stat.S_ISDIR(mode):
        raise UserError(
            f"{printable(path)} is {KINDS.get(stat.S_IFMT(mode), 'a file')}, and a delivery must be a folder with the "
            "five CSVs. Put the files themselves into one folder."
        )
    try:
        descriptor = os.open(path, READ | os.O_DIRECTORY | (0 if follow_links else os.O_NOFOLLOW))
    except OSError as error:
        raise unreadable(path, error) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_regular(path: Path, folder: int | None = None, follow_links: bool = False) -> BinaryIO:
    """Open a regular file to read it.

    Parameters
    ----------
    path : Path
        The file.
    folder : int or None
        The descriptor of its folder: the file is looked up there, whatever has replaced the folder in the meantime.
    follow_links : bool
        Open the file that a link leads to.

    Raises
    ------
    UserError
        When it is a link (unless links are followed), a folder, a FIFO, a socket or a device, or cannot be read.
    """
    require_regular(path, _stat(path, folder, follow_links).st_mode)
    name, no_link = (path if folder is None else path.name), 0 if follow_links else os.O_NOFOLLOW
    try:
        descriptor = os.open(name, READ | no_link, dir_fd=folder)
    except OSError as error:
        raise unreadable(path, error) from None
    file = os.fdopen(descriptor, "rb")
    try:
        # The file may have been replaced since it was looked at.
        require_regular(path, os.fstat(descriptor).st_mode)
    except UserError:
        file.close()
        raise
    return file


def unreadable(path: Path, error: OSError) -> UserError:
    """Return the error about a file or folder of a delivery that the system does not read."""
    return UserError(
        f"{printable(path)} cannot be read ({error.strerror or type(error).__name__}). Correct the permissions or the "
        "file, then deliver it again."
    )


def _stat(path: Path, folder: int | None, follow_links: bool) -> os.stat_result:
    try:
        return os.stat(path if folder is None else path.name, dir_fd=folder, follow_symlinks=follow_links)
    except OSError as error:
        raise unreadable(path, error) from None


def require_regular(path: Path, mode: int) -> None:
    """Raise `UserError` unless this is the mode of a regular file."""
    if not stat.S_ISREG(mode):
        raise UserError(
            f"{printable(path)} is {KINDS.get(stat.S_IFMT(mode), 'a special file')}, which is not read. Deliver the "
            "file itself: a delivery has only regular files."
        )
