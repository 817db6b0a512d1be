"""dvc.smk and `dvc repro` do the same in copies of real repositories that were not changed for Snakemake."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from dvc.stage import PipelineStage

from . import structures
from .commands import PACKAGE
from .small_pipeline import Repository

TOOLS = {
    "dvc": ("dvc", "repro", "--all-pipelines"),
    "snakemake": ("snakemake", "-s", f"{PACKAGE}/dvc.smk", "--cores", "2"),
}
SLOW = ("bookdata", "hybrid_flows", "lenskit", "metr", "poprox")
NOTHING = "Nothing to be done"
# What git, DVC and Snakemake keep for themselves.
THEIR_OWN = {".git", ".dvc", ".snakemake"}


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in structures.names()])
def copies(request, tmp_path) -> dict[str, Repository]:
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
    """From nothing, when nothing has changed, after a change of data, and after a change of code."""
    ran, _ = run_both(copies)
    stages = stages_to_run(copies["snakemake"])
    assert len(ran) == stages, "each stage ran"
    check_same(copies)

    ran, printed = run_both(copies)
    if status(copies["snakemake"]):
        assert len(ran) < stages, "only what always runs, and what reads it, ran again"
    else:
        assert not ran
        assert NOTHING in printed
    check_same(copies)

    sources = sources_to_change(copies["dvc"])
    assert sources
    for source in sources:
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
    assert contents(snakemake).keys() == contents(dvc).keys()
    locks = [path for path in contents(dvc) if path.name == "dvc.lock"]
    for lock in locks:
        ours, theirs = (yaml.safe_load(repository.read(lock)) for repository in (snakemake, dvc))
        assert ours == theirs, lock
    different = [path for path, content in contents(snakemake).items() if contents(dvc)[path] != content]
    assert not different
    assert objects(snakemake) == objects(dvc)
    assert snakemake.command("git", "status", "--porcelain") == dvc.command("git", "status", "--porcelain")
    assert status(snakemake) == status(dvc)
    assert all(changes == ["always changed"] for changes in status(snakemake).values())


def contents(repository: Repository) -> dict[Path, bytes]:
    """Return the content of each file that a user sees."""
    paths = [path for path in repository.folder.rglob("*") if path.is_file()]
    inside = {path.relative_to(repository.folder): path for path in paths}
    return {name: path.read_bytes() for name, path in inside.items() if name.parts[0] not in THEIR_OWN}


def objects(repository: Repository) -> set[str]:
    """Return the names of the objects in DVC's cache."""
    cache = repository.path(".dvc/cache/files/md5")
    return {path.relative_to(cache).as_posix() for path in cache.glob("??/*")}


def status(repository: Repository) -> dict[str, list[object]]:
    return json.loads(repository.command("dvc", "status", "--json").splitlines()[-1])


def stages_to_run(repository: Repository) -> int:
    """Return how many stages there are that may run."""
    with Repo(repository.folder) as repo:
        return sum(isinstance(stage, PipelineStage) and not stage.frozen for stage in repo.index.stages)


def sources_to_change(repository: Repository) -> list[str]:
    """Return a source that DVC tracks and one that git tracks, where there are such; stages read them."""
    with Repo(repository.folder) as repo:
        stages = [stage for stage in repo.index.stages if isinstance(stage, PipelineStage)]
        made = {out.fs_path for stage in stages for out in stage.outs}
        tracked = {out.fs_path for stage in repo.index.stages for out in stage.outs} - made
        read = {
            dep.fs_path
            for stage in stages
            for dep in stage.deps
            if not stage.frozen and not isinstance(dep, ParamsDependency)
        }
    root = repository.folder.resolve()
    data = sorted(read & tracked)[:1]
    code = sorted(path for path in read if not any(overlap(path, other) for other in made | tracked))[:1]
    return [Path(path).relative_to(root).as_posix() for path in [*data, *code]]


def overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def first_file(path: Path) -> Path:
    """Return the file, or the first file in a folder."""
    return sorted(below for below in path.rglob("*") if below.is_file())[0] if path.is_dir() else path
