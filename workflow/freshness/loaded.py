"""DVC's repository, loaded once for many jobs."""

import os
from pathlib import Path
from typing import Any

from dvc.dvcfile import ProjectFile
from dvc.repo import Repo, lock_repo
from dvc.stage import PipelineStage

from .lock_blocks import Blocks, read_blocks


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

    def load(self) -> None:
        """Read the definitions and dvc.lock; DVC's lock is held."""
        self.repo.__dict__.pop("index", None)
        self.stages = {stage.addressing: stage for stage in self.repo.index.stages}
        self.names = {}
        for stage in self.stages.values():
            if isinstance(stage, PipelineStage):
                self.names.setdefault(lock_of(stage), []).append(stage.name)
        self._blocks = {path: read_blocks(Path(path)) for path in self.names}
        self._times = {path: changed_at(path) for path in self.definition_files()}

    def refresh(self) -> None:
        """Load again if a definition has changed since."""
        if self.is_outdated():
            with lock_repo(self.repo):
                self.load()

    def is_outdated(self) -> bool:
        """Return whether a definition has changed since it was loaded."""
        return any(changed_at(path) != time for path, time in self._times.items())

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
        """Return the files that define the stages: each dvc.yaml, and the files from which it takes values."""
        files: dict[str, None] = {}
        for dvcfile in {stage.path: stage.dvcfile for stage in self.stages.values()}.values():
            files[dvcfile.path] = None
            if isinstance(dvcfile, ProjectFile):
                parts = [dvcfile.contents, *dvcfile.contents.get("stages", {}).values()]
                taken = [item for part in parts for item in part.get("vars", []) if isinstance(item, str)]
                for item in ["params.yaml", *taken]:
                    files[str(Path(dvcfile.path).parent / item.partition(":")[0])] = None
        return list(files)


def lock_of(stage: Any) -> str:
    """Return the path of the dvc.lock of a stage."""
    return os.path.relpath(Path(stage.path).with_suffix(".lock"))


def changed_at(path: str) -> int:
    """Return when a file last changed, in nanoseconds, 0 if it does not exist."""
    return Path(path).stat().st_ctime_ns if Path(path).exists() else 0
