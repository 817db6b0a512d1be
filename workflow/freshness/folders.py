"""What is in a folder, file by file, and which files differ."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

# The hash of each file of a folder, by its path below the folder.
Listing = dict[str, str]

HASH_LENGTH, MAX_FILES = 8, 10
DVC_IGNORE = Path(".dvcignore")
NEVER_COUNTED = ("__pycache__/", ".snakemake_timestamp", ".git/", ".dvc/")


def folder_hash(listing: Listing) -> str:
    """Return the hash that DVC gives to a folder with these files."""
    files = [{"md5": listing[path], "relpath": path} for path in sorted(listing)]
    return hashlib.md5(json.dumps(files, sort_keys=True).encode()).hexdigest() + ".dir"


def file_hash(path: Path) -> str:
    """Return the hash of a file, "" if it is not there."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def list_folder(folder: str, recorded: dict[str, str]) -> Listing:
    """Return the files below a folder of the repository, without those that .dvcignore excludes.

    Parameters
    ----------
    folder
        The folder, relative to the repository.
    recorded
        Hashes by path, relative to the repository: a file or folder named here is not read again, and counts as one.
    """
    ignored, listing = ignore_rules(), {}
    for parent, folders, files in os.walk(folder):
        for name in sorted([*folders, *files]):
            path = os.path.normpath(Path(parent, name))
            is_folder = name in folders
            if ignored.match_file(f"{path}/" if is_folder else path):
                skip = True
            elif skip := path in recorded:
                listing[os.path.relpath(path, folder)] = recorded[path]
            elif not is_folder:
                listing[os.path.relpath(path, folder)] = file_hash(Path(path))
            if skip and is_folder:
                folders.remove(name)
    return listing


def ignore_rules() -> Any:
    """Return the rules for files that never count: those of .dvcignore, so that stages and release steps agree."""
    from pathspec import GitIgnoreSpec

    lines = DVC_IGNORE.read_text(encoding="utf-8").splitlines() if DVC_IGNORE.exists() else []
    return GitIgnoreSpec.from_lines([*NEVER_COUNTED, *lines])


def changed_files(folder: str, then: Listing, now: Listing) -> list[str]:
    """Return a line for each file that was added, removed or modified; after ten, how many more there are."""
    lines = []
    for name in sorted({*then, *now}):
        path, old, new = f"{folder}/{name}", then.get(name), now.get(name)
        if old is None:
            lines.append(f"{path}: added, {short(new)}")
        elif new is None:
            lines.append(f"{path}: removed, was {short(old)}")
        elif old != new:
            lines.append(f"{path}: {short(old)} -> {short(new)}")
    more = len(lines) - MAX_FILES
    return [*lines[:MAX_FILES], f"{folder}: and {more} more"] if more > 0 else lines


def short(digest: str | None) -> str:
    """Return the first letters of a hash."""
    return digest[:HASH_LENGTH] if digest else "missing"
