"""A look without DVC: while no file that counts has changed, the answer of the last look stands.

DVC's answer is kept with a digest of the inodes, sizes and times of all that it depends on. Where the digest cannot
vouch for it, as for data outside the repository, none is kept. Any doubt asks DVC.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .state import LOOK, write_whole

# What DVC reads of a folder apart from dependencies and outputs.
DEFINITIONS = ("dvc.yaml", "dvc.lock", ".dvcignore", ".gitignore")
NEVER_WALKED = (".git", ".dvc", ".snakemake")


@dataclass
class Watched:
    """What an answer of DVC depends on.

    Attributes
    ----------
    paths
        Dependencies and outputs, files with parameters; relative to the repository. Of folders, all that is in them.
    pruned
        Folders in which DVC looks for nothing, relative to the repository.
    others
        Files of DVC itself, and the folders of its cache, of which only the list of entries counts.
    """

    paths: set[str]
    pruned: set[str]
    others: list[str]
    _seen: set[str] = field(default_factory=set, repr=False)

    def digest(self) -> str:
        """Return the digest of all that is watched, "" if it cannot be known by looking."""
        self._seen.clear()
        lines = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("DVC_")]
        try:
            lines += self._walk(".", False)
            lines += [_other(path) for path in self.others]
        except OSError:
            return ""
        # What is there and was not seen is behind a link to a folder, or in a folder in which DVC looks for nothing.
        if any(os.path.lexists(path) for path in self.paths - self._seen):
            return ""
        return hashlib.md5("\n".join(lines).encode(errors="surrogateescape")).hexdigest()

    def _walk(self, folder: str, counts: bool) -> Iterator[str]:
        """Yield a line for each file that counts in a folder; in a watched folder, all do."""
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            path = os.path.normpath(entry.path)
            here = counts or path in self.paths
            if path in self.paths:
                self._seen.add(path)
            if entry.is_dir(follow_symlinks=False):
                if here:
                    yield f"{path}/"
                if path not in self.pruned and entry.name not in NEVER_WALKED:
                    yield from self._walk(path, here)
            elif here or entry.name in DEFINITIONS or entry.name.endswith(".dvc"):
                if entry.is_dir():
                    # What changes behind a link to a folder is not seen here.
                    raise NotADirectoryError(path)
                yield f"{path} {_times(path)}"


def keep_look(digest: str, watched: Watched | None, answer: dict[str, Any]) -> None:
    """Keep DVC's answer, if the digest from before it was asked can vouch for it."""
    LOOK.unlink(missing_ok=True)
    if watched and digest:
        about = {"paths": sorted(watched.paths), "pruned": sorted(watched.pruned), "others": watched.others}
        write_whole(LOOK, json.dumps({"digest": digest, "watched": about, "answer": answer}))


def last_look() -> dict[str, Any] | None:
    """Return DVC's last answer if it stands, else None."""
    try:
        look = json.loads(LOOK.read_text(encoding="utf-8"))
        about, answer = look["watched"], look["answer"]
        watched = Watched(set(about["paths"]), set(about["pruned"]), about["others"])
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    return answer if watched.digest() == look["digest"] else None


def own_files() -> list[str]:
    """Return the files of this package: what another version of it kept may mean something else."""
    return sorted(map(str, Path(__file__).parent.glob("*.py")))


def _other(path: str) -> str:
    return f"{path} {_locked(path) if path.endswith('rwlock') else _times(path)}"


def _locked(path: str) -> str:
    """Return what DVC's list of locked paths holds; it is rewritten for each stage."""
    try:
        text = Path(path).read_text(errors="surrogateescape")
        return text if any(json.loads(text).values()) else ""
    except FileNotFoundError:
        return ""
    except ValueError:
        return text


def _times(path: str) -> str:
    """Return inode, size and times; of a link, also those of what it leads to."""
    try:
        found = [os.lstat(path)]
        if stat.S_ISLNK(found[0].st_mode):
            found.append(Path(path).stat())
    except FileNotFoundError:
        return "missing"
    return " ".join(f"{one.st_ino} {one.st_size} {one.st_mtime_ns} {one.st_ctime_ns}" for one in found)
