"""The folders data/raw/<drop>/: five CSVs each, tracked by DVC as one folder with the pointer <drop>.dvc.

And what is made of each drop: the folders that have one of its name, and the stages that run once for it.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from churn.base.command import UserError
from churn.deliveries.file_names import is_leftover

RAW, MADE = "data/raw", ("data/clean", "data/features", "data/drift")
STAGES = ("clean_payments", "build_user_base", "build_features", "measure_drift")
MAX_NAME_BYTES = 240


def file_md5s(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the MD5 of each named file."""
    md5s = {}
    for name in names:
        with (folder / name).open("rb") as file:
            md5s[name] = hashlib.file_digest(file, "md5").hexdigest()
    return md5s


def held_md5s(folder: Path) -> dict[str, str]:
    """Return the MD5 of every file in a drop's folder, {} if the folder does not exist.

    What file managers and editors leave there does not count; .dvcignore keeps DVC from seeing it.

    Raises
    ------
    UserError
        When it is not a folder, or contains a folder.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Move it away: it is the place for a drop's CSVs.")
    held = [path for path in folder.iterdir() if not is_leftover(path.name)] if folder.exists() else []
    if inner := [path for path in held if not path.is_file()]:
        raise UserError(f"{inner[0]} does not belong in a drop, which has only the five CSVs. Move it away.")
    return file_md5s(folder, [path.name for path in held])


def tracked_md5(folder: Path) -> str | None:
    """Return the MD5 in the folder's pointer, None if there is no pointer or only part of one."""
    # DVC writes a pointer in place: a kill leaves half a file. DVC writes it again when the folder is added again.
    try:
        return str(yaml.safe_load(pointer_of(folder).read_text())["outs"][0]["md5"])
    except (FileNotFoundError, yaml.YAMLError, TypeError, LookupError):
        return None


def free_path(path: Path) -> Path:
    """Return a path at which there is nothing: the given one, or one like it that ends in a number."""
    # A name may have 255 bytes; the number needs some of them.
    start = os.fsdecode(os.fsencode(path.name)[:MAX_NAME_BYTES])
    names = (path.name, *(f"{start}-{number}" for number in range(2, 10_000)))
    # A link that leads nowhere is something, too.
    return next(path.with_name(name) for name in names if not os.path.lexists(path.with_name(name)))


def pointer_of(folder: Path) -> Path:
    """Return the path of a folder's DVC pointer."""
    return folder.with_name(f"{folder.name}.dvc")


def folder_md5(md5s: dict[str, str]) -> str:
    """Return DVC's MD5 of a folder with these files."""
    entries = [{"md5": md5s[name], "relpath": name} for name in sorted(md5s)]
    return hashlib.md5(json.dumps(entries).encode()).hexdigest() + ".dir"


def tracked_md5s(folder: Path) -> dict[str, str]:
    """Return the MD5 of each file that DVC tracks in a drop's folder; {} without a readable list in its cache."""
    md5 = tracked_md5(folder) or ""
    # Where DVC keeps it by default.
    path = folder.absolute().parents[2] / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    try:
        return {entry["relpath"]: entry["md5"] for entry in json.loads(path.read_bytes())}
    except (OSError, ValueError, TypeError, LookupError):
        return {}


def track_folders(folders: list[Path]) -> None:
    """Track folders of one data/raw with DVC, in one call; wait if another DVC is running.

    Raises
    ------
    UserError
        With DVC's message when it fails. The copied files are kept, so the command can be run again.
    """
    for folder in folders:
        if tracked_md5(folder) is None:
            pointer_of(folder).unlink(missing_ok=True)
    # Without --no-relink, DVC may move the data away and link it back; a kill in between would lose the folder.
    add = [sys.executable, "-m", "dvc", "--wait-for-lock", "add", "--no-relink"]
    names = [folder.name for folder in folders]
    done = subprocess.run([*add, *names], cwd=folders[0].parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(
            f"DVC could not track {', '.join(map(str, folders))}: {done.stderr.strip()}\n"
            "The files are in place; fix the cause, then run this command again."
        )
