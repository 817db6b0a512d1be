"""dvc.smk and `dvc repro` do the same in copies of real repositories, which have nothing for Snakemake."""

import contextlib
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from dvc.stage import PipelineStage

from ..lock_blocks import read_blocks
from ..steps import overlap
from . import structures
from .commands import PACKAGE
from .small_pipeline import Repository

TOOLS = {
    "dvc": ("dvc", "repro", "--all-pipelines"),
    "snakemake": ("snakemake", "-s", f"{PACKAGE}/dvc.smk", "--cores", "2"),
}
SLOW = {
    "alceo",
    "boilercv",
    "bookdata",
    "hybrid_flows",
    "jrf",
    "lenskit",
    "metr",
    "opentimes",
    "poprox",
    "speech",
    "valuation",
}
# What git, DVC and Snakemake keep for themselves.
THEIR_OWN = {".git", ".dvc", ".snakemake"}

# DVC's own, when it looks for outputs that overlap.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")


# One to three minutes each, and nothing that the others do not have: a campaign, with ALL_STRUCTURES=1.
LARGEST = set() if os.environ.get("ALL_STRUCTURES") else {"alceo", "bookdata", "hybrid_flows", "lenskit", "poprox"}
NAMES = [name for name in structures.names() if name not in LARGEST]


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NAMES])
def copies(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Repository]:
    """Two copies of a repository in which no stage has run, one for each tool."""
    repository = Repository(tmp_path / "dvc" / "repository")
    repository.folder.mkdir(parents=True)
    structures.build(structures.load(request.param), repository)
    # Nothing in it is there for Snakemake.
    shutil.rmtree(repository.path("workflow/freshness"))
    for name in ".gitignore", ".dvcignore":
        kept = [line for line in repository.read(name).splitlines() if ".snakemake" not in line]
        repository.write(name, "\n".join([*kept, ""]))
    repository.commit("As it was found")
    # What it imports lies beside it.
    shutil.copytree(tmp_path / "dvc", tmp_path / "snakemake", symlinks=True)
    return {"dvc": repository, "snakemake": Repository(tmp_path / "snakemake" / "repository")}


def test_both_tools_do_the_same(copies):
    """At first, when nothing has changed, and after a change."""
    stages = [stage for stage in stages_of(copies["dvc"]) if not stage.frozen]
    # What frozen stages need has run before.
    unrecorded = [stage for stage in stages if stage.always_changed or not is_recorded(stage)]
    ran, _ = run_both(copies)
    assert len(ran) == len(unrecorded)
    check_same(copies)

    ran, printed = run_both(copies)
    if always := [stage for stage in stages if stage.always_changed or stage.is_callback]:
        assert len(always) <= len(ran) < len(stages)
    else:
        assert not ran
        assert "Nothing to be done" in printed
    check_same(copies)

    source = source_to_change(copies["dvc"])
    for repository in copies.values():
        file = first_file(repository.path(source))
        file.write_text(f"{file.read_text()}changed\n")
    ran, _ = run_both(copies)
    assert ran, source
    check_same(copies)


def run_both(copies: dict[str, Repository]) -> tuple[Counter[str], str]:
    """Run both tools; return what ran, by the first output of each stage, and what Snakemake printed."""
    ran, printed = {}, ""
    for tool, repository in copies.items():
        repository.log.write_text("")
        printed = repository.command(*TOOLS[tool])
        ran[tool] = Counter(repository.log.read_text().splitlines())
    assert ran["snakemake"] == ran["dvc"]
    assert not [output for output, times in ran["dvc"].items() if times > 1]
    return ran["snakemake"], printed


def check_same(copies: dict[str, Repository]) -> None:
    """Check that files, DVC's records and cache, and what git and DVC call changed are the same."""
    dvc, snakemake = copies.values()
    ours, theirs = contents(snakemake), contents(dvc)
    assert ours.keys() == theirs.keys()
    locks = [path for path in ours if path.name == "dvc.lock"]
    for lock in locks:
        assert yaml.safe_load(ours[lock]) == yaml.safe_load(theirs[lock]), lock
        # `dvc repro` adds a stage at the end when it has run; here, the order is that of dvc.yaml.
        blocks, blocks_of_dvc = (read_blocks(repository.path(str(lock))) for repository in (snakemake, dvc))
        assert blocks == blocks_of_dvc, lock
    assert not [path for path in ours if ours[path] != theirs[path] and path not in locks]
    assert objects(snakemake) == objects(dvc)
    assert snakemake.command("git", "status", "--porcelain") == dvc.command("git", "status", "--porcelain")
    assert status(snakemake) == status(dvc)
    assert all(changes == ["always changed"] for changes in status(dvc).values())


def contents(repository: Repository) -> dict[Path, bytes]:
    """Return the content of each file that a user sees."""
    paths = [path for path in repository.folder.rglob("*") if path.is_file()]
    inside = {path.relative_to(repository.folder): path for path in paths}
    return {name: path.read_bytes() for name, path in inside.items() if name.parts[0] not in THEIR_OWN}


def objects(repository: Repository) -> set[str]:
    """Return the names of the objects in DVC's cache."""
    cache = repository.path(".dvc/cache/files/md5")
    return {path.relative_to(cache).as_posix() for path in cache.glob("??/*")}


def status(repository: Repository) -> dict[str, Any]:
    with contextlib.chdir(repository.folder), Repo() as repo:
        return repo.status()


def stages_of(repository: Repository) -> list[PipelineStage]:
    with Repo(repository.folder) as repo:
        return [stage for stage in repo.index.stages if isinstance(stage, PipelineStage)]


def is_recorded(stage: PipelineStage) -> bool:
    return any(item.hash_info for item in (*stage.outs, *stage.deps) if not isinstance(item, ParamsDependency))


def source_to_change(repository: Repository) -> str:
    """Return a source that stages read: of those that DVC tracks, else of the others, else what a stage makes."""
    stages, root = stages_of(repository), repository.folder.resolve()
    deps = [dep for stage in stages for dep in stage.deps if not stage.frozen and not isinstance(dep, ParamsDependency)]
    read, made = ({os.path.relpath(item.fs_path, root) for item in items} for items in (deps, outs_of(stages)))
    sources = {path for path in read if not any(overlap(path, out) for out in made)}
    tracked = {path for path in sources if repository.path(f"{path}.dvc").exists()}
    return min(tracked or sources or made)


def outs_of(stages: list[PipelineStage]) -> list[Any]:
    return [out for stage in stages for out in stage.outs if not stage.frozen]


def first_file(path: Path) -> Path:
    """Return the file, or the first file in a folder."""
    return min(below for below in path.rglob("*") if below.is_file()) if path.is_dir() else path
