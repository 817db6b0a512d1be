"""Search the repository's folder for a user, and erase the user there."""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dvc.repo import Repo

from churn.base.command import UserError
from churn.base.drops import read_list
from churn.base.files import sync, write_json
from churn.base.git import run_git
from churn.base.printable import printable
from churn.base.reading import read_json
from churn.deliveries.folders import RAW, folder_md5, held_md5s, pointer_of, track_folders, tracked_md5
from churn.deliveries.inbox_layout import inbox_folder
from churn.privacy.places import CACHES, REBUILD, REMOVE, REWRITE, SKIPPED, UNKNOWN, Place, find_place, has_places
from churn.privacy.ready import read_journal, write_journal
from churn.privacy.search import Search
from churn.stack.remote_objects import CACHE

WORKERS = 4
OTHER = Place("other files", (), REWRITE, UNKNOWN)
# An object of DVC's cache that lists the files of a folder has no rows; neither has its record of runs.
NO_ROWS = (".dir",)
RECEIPTS = Path("reports/release/score_users")


@dataclass(frozen=True)
class Found:
    """A file that holds the user, and its place."""

    path: Path
    place: Place


def list_files(root: Path) -> Iterator[tuple[Path, Place]]:
    """Yield every file in the repository's folder and the inbox that may hold users, with its place.

    A place that is a link to another folder is searched there. Other clones are not, wherever they are.

    Raises
    ------
    UserError
        When a folder cannot be read.
    """
    inbox = inbox_folder()
    arrived = inbox.resolve()
    # What git has is code and numbers; its history could not be rewritten here anyway.
    tracked = set(run_git("-C", str(root), "ls-files", "-z").stdout.split("\0"))
    tops = [root, *([inbox] if not arrived.is_relative_to(root.resolve()) else [])]
    for top in tops:
        for folder, inner, names in os.walk(top, onerror=_refuse):
            is_delivered = Path(folder).resolve().is_relative_to(arrived)
            # Wherever the inbox is.
            here = f"inbox/{os.path.relpath(folder, inbox)}" if is_delivered else os.path.relpath(folder, root)
            inner[:] = sorted(one for one in inner if is_delivered or not _is_skipped(root, here, one))
            if not is_delivered:
                tops += [Path(folder, one) for one in inner if _is_elsewhere(root, arrived, here, one)]
            for name in sorted(names):
                path, relative = Path(folder, name), os.path.normpath(f"{here}/{name}")
                if relative not in tracked and _is_file(path, is_delivered) and not name.endswith(NO_ROWS):
                    yield path, find_place(relative) or OTHER


def _is_skipped(root: Path, folder: str, name: str) -> bool:
    """Return whether a folder is not searched, by the path of the folder that it is in."""
    path = os.path.normpath(f"{folder}/{name}")
    # In DVC's scratch, experiments are clones.
    is_clone = find_place(f"{path}/") is None and (root / path / ".git").exists()
    return name in CACHES or path in SKIPPED or is_clone


def _is_elsewhere(root: Path, arrived: Path, folder: str, name: str) -> bool:
    """Return whether a place is a link to a folder that is not in the repository's."""
    path = os.path.normpath(f"{folder}/{name}")
    if not (root / path).is_symlink():
        return False
    target, here = (root / path).resolve(), root.resolve()
    is_other = not any(target.is_relative_to(one) or one.is_relative_to(target) for one in (here, arrived))
    return is_other and target.is_dir() and has_places(path)


def _refuse(error: OSError) -> None:
    """Stop the search at a folder that cannot be read; one that is gone holds nobody."""
    if not isinstance(error, FileNotFoundError):
        raise UserError(
            f"{printable(error.filename)} cannot be searched ({error.strerror}), and may hold the user. Correct its "
            "permissions, or remove it; then erase again."
        )


def _is_file(path: Path, is_delivered: bool) -> bool:
    """Return whether this is a file; what a sender has linked into the inbox is not the inbox's."""
    try:
        mode = path.stat(follow_symlinks=not is_delivered).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        _refuse(error)
        raise
    return stat.S_ISREG(mode)


def search_folder(search: Search, root: Path) -> list[Found]:
    """Return the files that hold the user."""
    files = list(list_files(root))
    # First the headers: rejected rows are read as the files that they were in.
    for path, place in files:
        if place.name == "raw drops" and path.suffix == ".csv":
            search.learn(path)

    def holds(one: tuple[Path, Place]) -> bool:
        path, place = one
        if place.is_opaque:
            return False
        # It may be gone, if another process works here.
        with suppress(FileNotFoundError):
            return search.finds(path, place.form)
        return False

    with ThreadPoolExecutor(WORKERS) as pool:
        found = [Found(*one) for one, is_found in zip(files, pool.map(holds, files), strict=True) if is_found]
    for one in found:
        _check_link(one.path, root)
    return found


def _check_link(path: Path, root: Path) -> None:
    """Raise `UserError` if a file is a link to a file elsewhere: that would keep the user."""
    target = path.resolve()
    # DVC may have links to its cache in the folders of data.
    if path.is_symlink() and not any(target.is_relative_to(one.resolve()) for one in (root, root / CACHE)):
        raise UserError(
            f"{printable(path)} is a link to {printable(target)}, which holds the user and is not in this folder. Put "
            "the file itself here, or remove both; then erase again."
        )


def erase_in_raw(search: Search, root: Path, found: list[Found]) -> None:
    """Rewrite the raw drops without the user, and have DVC track them.

    A killed command may have rewritten some that are not tracked yet: the journal names them.
    """
    raw = [one.path for one in found if one.place.name == "raw drops"]
    _, listed = read_list(root / "data/drops.yaml")
    drops = {str(drop) for drop in listed}
    begun = drops & (read_journal(root) | {path.parent.name for path in raw})
    write_journal(root, begun)
    for path in raw:
        search.remove(path)
    folders = [root / RAW / drop for drop in sorted(begun)]
    if changed := [one for one in folders if (held := held_md5s(one)) and folder_md5(held) != tracked_md5(one)]:
        track_folders(changed)
        for folder in changed:
            sync(pointer_of(folder))
    write_journal(root, set())


def erase_in_folder(search: Search, root: Path, found: list[Found]) -> None:
    """Rewrite or remove what holds the user, but raw drops."""
    with Repo(str(root)) as repo:
        outs = [Path(out.fs_path) for out in repo.index.outs]
    for one in found:
        path, erase = one.path, one.place.erase
        if one.place.name == "raw drops" or not path.exists():
            continue
        if erase == REBUILD:
            whole = next((out for out in outs if path.absolute().is_relative_to(out)), path)
            _remove(whole)
        elif erase == REMOVE:
            _remove(path)
        else:
            search.remove(path, one.place.form)
            if one.place.name == "scores":
                _sign_scores(path)
    for path, place in list_files(root):
        if place.is_opaque:
            path.unlink(missing_ok=True)


def _sign_scores(path: Path) -> None:
    """Write the new hash of a file of scores into its receipt."""
    receipt = RECEIPTS / f"{path.parent.name}.json"
    # Without it, or if it is damaged, the next run scores the drop again.
    with suppress(UserError, FileNotFoundError):
        content = read_json(receipt)
        if str(path) in content.get("files", {}):
            content["files"][str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
            write_json(content, receipt, durable=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
