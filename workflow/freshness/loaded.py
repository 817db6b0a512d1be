"""DVC's repository, loaded once for many jobs."""

import os
import time
from pathlib import Path
from typing import Any

from dvc.dvcfile import ProjectFile
from dvc.repo import Repo, lock_repo
from dvc.stage import PipelineStage

from .lock_blocks import Blocks, read_blocks

# File systems count time in steps of some milliseconds.
CLOCK_TICK = 10_000_000
MOST_LOADS = 5


class Loaded:
    """The stages and pointers of the repository, loaded once, and what dvc.lock said of each stage then.

    Attributes
    ----------
    repo : dvc.repo.Repo
        The open repository.
    stages
        The stages and pointers by their DVC names.
    names
        The names of the stages that each dvc.lock is for, by its path, in the order of its dvc.yaml.
    """

    def __init__(self) -> None:
        self.repo = Repo()
        self.stages: dict[str, Any] = {}
        self.names: dict[str, list[str]] = {}
        self._blocks: dict[str, Blocks | None] = {}
        self._times: dict[str, int] = {}
        self._lock_times: dict[str, int] = {}

    def load(self) -> None:
        """Read the definitions and dvc.lock; DVC's lock is held."""
        for _ in range(MOST_LOADS):
            begin = time.time_ns() - CLOCK_TICK
            self._load_once()
            # Again, if a file has changed since it began: an editor or git takes no lock.
            if all(changed < begin for changed in (*self._times.values(), *self._lock_times.values())):
                return

    def _load_once(self) -> None:
        # DVC's own way to forget what it has read.
        Repo._reset(self.repo)
        self.stages = {stage.addressing: stage for stage in self.repo.index.stages}
        self.names = {}
        for stage in self.stages.values():
            if isinstance(stage, PipelineStage):
                self.names.setdefault(lock_of(stage), []).append(stage.name)
        self._lock_times = {path: changed_at(path) for path in self.names}
        self._blocks = {path: read_blocks(Path(path)) for path in self.names}
        self._times = {path: changed_at(path) for path in self.definition_files()}

    def refresh(self) -> None:
        """Load again if a definition has changed since."""
        if self.is_outdated():
            with lock_repo(self.repo):
                self.load()

    def is_outdated(self, locks: bool = False) -> bool:
        """Return whether a definition, or also a dvc.lock, has changed since it was loaded."""
        times = self._times | (self._lock_times if locks else {})
        return any(changed_at(path) != time for path, time in times.items())

    def is_pipeline_stage(self, name: str) -> bool:
        """Return whether this is a stage of a dvc.yaml, and not a pointer."""
        return isinstance(self.stages[name], PipelineStage)

    def changed_elsewhere(self, name: str) -> bool:
        """Return whether dvc.lock has something else for a stage than was loaded."""
        stage = self.stages[name]
        path = lock_of(stage)
        now, then = read_blocks(Path(path)), self._blocks[path]
        return now is None or then is None or now.stages.get(stage.name) != then.stages.get(stage.name)

    def definition_files(self) -> list[str]:
        """Return the files that define the stages: each dvc.yaml, what it takes values from, DVC's settings."""
        files = dict.fromkeys([*self.repo.config.files.values(), str(Path(self.repo.root_dir, ".dvcignore"))])
        folders: dict[str, set[Path]] = {}
        dvcfiles: dict[str, ProjectFile] = {}
        for stage in self.stages.values():
            if isinstance(stage, PipelineStage):
                # What a stage takes values from is relative to its own folder.
                folders.setdefault(stage.path, {Path(stage.path).parent}).add(Path(stage.wdir))
                dvcfiles[stage.path] = stage.dvcfile
        for path, dvcfile in dvcfiles.items():
            parts = [dvcfile.contents, *dvcfile.contents.get("stages", {}).values()]
            parts += [part["do"] for part in parts if isinstance(part.get("do"), dict)]
            taken = [item for part in parts for item in part.get("vars") or [] if isinstance(item, str)]
            names = {item.partition(":")[0] for item in ["params.yaml", *taken]}
            files |= {path: None} | {
                str(folder / name): None for folder in sorted(folders[path]) for name in sorted(names)
            }
        return list(files)


def lock_of(stage: Any) -> str:
    """Return the path of the dvc.lock of a stage."""
    return os.path.relpath(Path(stage.path).with_suffix(".lock"))


def only_remote(repo: Any) -> str | None:
    """Return the name of the only remote where none is the default one; else None, which is the default."""
    names = list(repo.config.get("remote", {}))
    return names[0] if len(names) == 1 and not repo.config["core"].get("remote") else None


def changed_at(path: str) -> int:
    """Return when a file last changed, in nanoseconds, 0 if it does not exist."""
    return Path(path).stat().st_ctime_ns if Path(path).exists() else 0
