"""What DVC's answer depends on: the files that a look without DVC compares."""

import os
from pathlib import Path, PurePath
from typing import Any

import dvc
from dvc.dependency.base import Dependency
from dvc.dependency.param import ParamsDependency

from .loaded import Loaded
from .look import NEVER_WALKED, Watched, own_files


def watch(loaded: Loaded) -> Watched | None:
    """Return what DVC's answer depends on, None if files of this repository cannot tell."""
    settings = list(loaded.repo.config.files.values())
    paths = {os.path.relpath(path) for path in loaded.definition_files() if path not in settings}
    caches: set[str] = set()
    for stage in loaded.stages.values():
        # A dependency of another kind is outside of the repository: a URL, a database, another repository.
        known = all(type(dep) in (Dependency, ParamsDependency) for dep in stage.deps)
        local = all(item.protocol == "local" for item in (*stage.deps, *stage.outs))
        if stage.is_callback or stage.always_changed or not known or not local:
            return None
        paths |= {os.path.relpath(item.fs_path) for item in (*stage.deps, *stage.outs)}
        caches |= {out.cache.path for out in stage.outs if out.use_cache}
    if any(path.startswith(os.pardir) for path in paths):
        return None
    folders = [f"{cache}/{number:02x}" for cache in sorted(caches) for number in range(256)]
    rwlock = f"{loaded.repo.tmp_dir}/rwlock"
    # What git ignores decides where DVC looks for definitions.
    ignored = [f"{loaded.repo.root_dir}/.git/info/exclude", str(Path("~/.config/git/ignore").expanduser())]
    others = [
        *ignored,
        *settings,
        rwlock,
        dvc.__file__,
        *own_files(),
        *sorted(caches),
        *folders,
    ]
    return Watched(paths, pruned_folders(loaded.repo, paths), others)


def pruned_folders(repo: Any, paths: set[str]) -> set[str]:
    """Return the folders in which DVC looks for nothing: ignored by .dvcignore, or by git and not watched."""
    reaching = {str(parent) for path in paths for parent in PurePath(path).parents}
    pruned = set()

    def walk(folder: str, counts: bool) -> None:
        for entry in entries_of(folder):
            path = os.path.normpath(entry.path)
            if not entry.is_dir(follow_symlinks=False) or entry.name in NEVER_WALKED:
                continue
            here = counts or path in paths
            needed = here or path in reaching
            if repo.dvcignore.is_ignored_dir(path) or (not needed and repo.scm.is_ignored(f"{Path(path).absolute()}/")):
                pruned.add(path)
            else:
                walk(path, here)

    walk(".", False)
    return pruned


def entries_of(folder: str) -> list[os.DirEntry[str]]:
    """Return what is in a folder, nothing if it is gone by now."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
