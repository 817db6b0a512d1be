"""Move deliveries out of the inbox, and write the reason beside those that are broken."""

import os
import stat
import uuid
from contextlib import suppress
from pathlib import Path

from churn.base.command import UserError
from churn.base.files import sync_names
from churn.base.printable import printable
from churn.deliveries.folders import free_path
from churn.deliveries.inbox_layout import DONE, IN_INBOX, MAX_REASON_BYTES, REASON, REJECTED, first_line
from churn.deliveries.regular_files import open_folder, open_regular


def check_places(inbox: Path) -> None:
    """Raise `UserError` if what deliveries are moved into is not a folder of the inbox."""
    for folder in (inbox / DONE, inbox / REJECTED):
        if os.path.lexists(folder) and not stat.S_ISDIR(folder.lstat().st_mode):
            raise UserError(
                f"{folder} is a link or a file, but must be a folder: deliveries are moved into it. Remove it."
            )


def reject(delivery: Path, inbox: Path, reason: str) -> Path:
    """Move a broken delivery to rejected/ with the reason, and return its new path.

    If it cannot be moved, it stays, and only the reason is written to rejected/.
    """
    try:
        if stat.S_ISDIR(delivery.lstat().st_mode):
            # First the reason: after a kill, no rejected delivery lacks it.
            write_reason(delivery, reason, inbox)
            make_readable(inbox / REJECTED, inbox)
            moved = move(delivery, inbox / REJECTED)
        else:
            moved = free_path(inbox / REJECTED / delivery.name)
            make_readable(moved.parent, inbox)
            make_readable(moved, inbox)
            write_reason(moved, reason, inbox)
            delivery.rename(moved / delivery.name)
    except (OSError, UserError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it cannot be opened"
        return leave(delivery, inbox, f"{reason}\nThe delivery could not be moved to {REJECTED}/ ({cause}).")
    print(f"REJECTED: {printable(delivery.name)} was moved to {printable(moved)}: {first_line(reason)}")
    return moved


def leave(delivery: Path, inbox: Path, reason: str) -> Path:
    """Leave a delivery in the inbox, write the reason to rejected/ unless it says so already; return its path."""
    print(f"FAILED: {printable(delivery.name)} stays in the inbox: {first_line(reason)}")
    folder = inbox / REJECTED / f"{delivery.name}{IN_INBOX}"
    try:
        make_readable(folder.parent, inbox)
        make_readable(folder, inbox)
        # Written again, it would be a new rejection in the next alert.
        if read_reason(folder) != f"{reason}\n":
            write_reason(folder, reason, inbox)
    except (OSError, UserError) as error:
        print(f"WARNING: {printable(folder / REASON)} could not be written ({first_line(str(error))}).")
    return delivery


def finish(delivery: Path, inbox: Path) -> bool:
    """Move an ingested delivery to .done/; return whether that was possible."""
    try:
        moved = move(delivery, inbox / DONE)
    except OSError as error:
        reason = f"{printable(delivery)} was ingested, but cannot be moved ({error.strerror}). Correct the permissions."
        leave(delivery, inbox, reason)
        return False
    print(f"{printable(delivery.name)} was moved to {printable(moved)}.")
    remove_reasons(inbox)
    return True


def remove_reasons(inbox: Path) -> None:
    """Remove the reasons of deliveries that could not be moved, and are no longer in the inbox."""
    for folder in (inbox / REJECTED).glob(f"*{IN_INBOX}"):
        if not os.path.lexists(inbox / folder.name.removesuffix(IN_INBOX)):
            with suppress(OSError):
                (folder / REASON).unlink()
                folder.rmdir()


def move(delivery: Path, folder: Path) -> Path:
    """Move a delivery into a folder, under a free name, and return its new path."""
    folder.mkdir(exist_ok=True)
    moved = delivery.rename(free_path(folder / delivery.name))
    # After a power cut, it is in one of the two places.
    for names in (folder, delivery.parent):
        sync_names(names)
    return moved


def read_reason(folder: Path) -> str:
    """Return a folder's reason, "" if it has none that can be read."""
    with suppress(UserError), open_regular(folder / REASON) as file:
        return file.read(MAX_REASON_BYTES).decode(errors="replace")
    return ""


def make_readable(folder: Path, inbox: Path) -> None:
    """Make a folder that those who can read the inbox can read, whatever the umask; an existing one is left alone."""
    with suppress(FileExistsError):
        folder.mkdir()
        # Not through a link that a sender has put in its place.
        with open_folder(folder) as descriptor:
            os.fchmod(descriptor, 0o700 | inbox.stat().st_mode & 0o055)


def write_reason(folder: Path, reason: str, inbox: Path) -> None:
    """Write reason.txt, whole or not at all and never through a link; what else has that name is kept beside it.

    Those who can read the inbox can read it, whatever the umask.
    """
    with open_folder(folder) as inside:
        temporary = f".{REASON}-{uuid.uuid4().hex}"
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=inside
        )
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o600 | inbox.stat().st_mode & 0o044)
                file.write(f"{reason}\n".encode(errors="backslashreplace"))
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(os.stat(REASON, dir_fd=inside, follow_symlinks=False).st_mode):
                    beside = free_path(folder / REASON).name
                    os.rename(REASON, beside, src_dir_fd=inside, dst_dir_fd=inside)
            os.replace(temporary, REASON, src_dir_fd=inside, dst_dir_fd=inside)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=inside)
            raise
