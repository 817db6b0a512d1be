"""Branches that ran different stages merge without conflict, and what they ran is not run again.

MERGES=1000 python -m pytest workflow/freshness/tests/test_merge.py --dist load
"""

import contextlib
import os
import random
import shutil
import warnings
from collections.abc import Iterator

import pytest
import yaml
from dvc.repo import Repo

from .commands import PACKAGE, run
from .small_pipeline import Repository

MERGES = int(os.environ.get("MERGES", "6"))
SOURCES, PARAMS, LINES = 6, 3, 12
# Each stage: the sources or stages that it reads, and its parameters.
STAGES = {
    "c0": (["s0"], ["p0"]),
    "c1": (["s1"], []),
    "c2": (["s2"], ["p0", "p1"]),
    "c3": (["s3"], []),
    "c4": (["s4"], []),
    "c5": (["s5"], ["p1"]),
    "j0": (["c0", "c1"], []),
    "j1": (["c2", "c3", "s0"], ["p2"]),
    "k": (["j0", "j1"], []),
    "m": (["c4", "c5"], []),
}
STAGE = """
import hashlib, os, sys
from pathlib import Path
output, *inputs = sys.argv[1:]
with open(os.environ["RAN"], "a") as log:
    log.write(f"{output}\\n")
text = "".join(Path(path).read_text() for path in inputs)
Path(output).write_text(f"{output} {hashlib.md5(text.encode()).hexdigest()}\\n")
"""


def dvc_yaml() -> str:
    stages = {}
    for name, (deps, params) in STAGES.items():
        inputs = [*deps, *(f"{param}.yaml" for param in params)]
        out = {name: {"cache": False}} if name == "m" else name
        stages[name] = {
            "cmd": f"python stage.py {name} {' '.join(inputs)}",
            "deps": [*deps, "stage.py"],
            "params": [{f"{param}.yaml": ["value"]} for param in params],
            "outs": [out],
        }
    return yaml.safe_dump({"stages": stages}, sort_keys=False)


def causes(repository: Repository) -> dict[str, str]:
    """Return what each stage reads, worked out from the sources alone."""
    texts = {f"s{number}": repository.read(f"s{number}") for number in range(SOURCES)}
    texts |= {f"p{number}": repository.read(f"p{number}.yaml") for number in range(PARAMS)}
    read = {}
    for name, (deps, params) in STAGES.items():
        read[name] = "".join(texts[key] for key in (*deps, *params))
        texts[name] = f"[{name} {read[name]}]"
    return read


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Repository:
    """A repository in which everything has run, with the merge driver."""
    repository = Repository(tmp_path_factory.mktemp("merges") / "repository")
    files = {"dvc.yaml": dvc_yaml(), "stage.py": STAGE, ".gitignore": "/[cjk]?\n/k\n"}
    files |= {f"s{number}": "".join(f"{line}\n" for line in range(LINES)) for number in range(SOURCES)}
    files |= {f"p{number}.yaml": "value: 0\n" for number in range(PARAMS)}
    repository.create(files, track=())
    repository.write(".gitattributes", "/m merge=dvc-output\n")
    run("python", PACKAGE, "merge", "--install", cwd=repository.folder)
    repository.command("dvc", "repro")
    repository.commit("Everything has run")
    return repository


def edit(repository: Repository, generator: random.Random, side: int) -> None:
    """Change some sources and parameters: each side in its own lines, so that git can merge them, or both alike."""
    for _ in range(generator.randint(1, 3)):
        number = generator.randrange(SOURCES)
        lines = repository.read(f"s{number}").splitlines()
        alike = generator.random() < 0.3
        lines[LINES // 2 if alike else side * (LINES - 1)] = "alike" if alike else f"side {side} {generator.random()}"
        repository.write(f"s{number}", "".join(f"{line}\n" for line in lines))
    if generator.random() < 0.4:
        # The sides have parameters of their own, and one in common, which both would set to the same value.
        repository.write(f"p{generator.choice([side, 2])}.yaml", "value: 1\n")


@contextlib.contextmanager
def dvc(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repo]:
    """DVC in this process: its commands take half a second to start."""
    monkeypatch.chdir(repository.folder)
    monkeypatch.setenv("RAN", str(repository.log))
    with Repo(repository.folder) as repo, warnings.catch_warnings():
        # It still calls what its libraries will drop.
        warnings.simplefilter("ignore", DeprecationWarning)
        yield repo


def reproduce(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run the pipeline; return the stages that really ran."""
    repository.log.write_text("")
    with dvc(repository, monkeypatch) as repo:
        repo.reproduce()
    return sorted(repository.log.read_text().split())


@pytest.mark.slow
@pytest.mark.parametrize("number", range(MERGES))
def test_two_branches_merge_and_only_what_neither_has_run_runs(base, tmp_path, monkeypatch, number):
    repository, generator = base.copy(tmp_path / "repository"), random.Random(number)
    seen = []
    for side in 0, 1:
        repository.command("git", "checkout", "--quiet", "-B", f"side{side}", "main")
        with dvc(repository, monkeypatch) as repo:
            repo.checkout()
        edit(repository, generator, side)
        reproduce(repository, monkeypatch)
        repository.commit(f"Side {side}")
        seen.append(causes(repository))
    # Without the run cache, only what dvc.lock knows after the merge saves a stage from running.
    shutil.rmtree(repository.path(".dvc/cache/runs"))
    for ours, theirs in (0, 1), (1, 0):
        repository.command("git", "checkout", "--quiet", "-B", "merged", f"side{ours}")
        repository.command("git", "merge", "--quiet", "--no-edit", f"side{theirs}")
        with dvc(repository, monkeypatch) as repo:
            repo.checkout()
        now = causes(repository)
        must = {name for name in STAGES if now[name] not in (seen[0][name], seen[1][name])}
        kept = seen[ours]["m"]
        if now["m"] != kept and now["m"] == seen[theirs]["m"] and kept != causes(base)["m"]:
            # A metric that both have changed is ours after the merge: its stage runs, if theirs was right.
            must.add("m")
        if number % 20 == 0:
            repository.log.write_text("")
            repository.command("snakemake", "-s", PACKAGE / "dvc.smk", "--cores", "2")
            assert sorted(repository.log.read_text().split()) == sorted(must)
        else:
            assert reproduce(repository, monkeypatch) == sorted(must)
        shutil.rmtree(repository.path(".dvc/cache/runs"), ignore_errors=True)
        with dvc(repository, monkeypatch) as repo:
            assert repo.status() == {}
        repository.command("git", "checkout", "--quiet", "--force", f"side{ours}")


def test_datasets_of_both_sides_are_kept(tmp_path):
    repository = Repository(tmp_path / "repository")
    first = "schema: '2.0'\ndatasets:\n- name: x\n  url: x\nstages: {}\n"
    repository.create({"dvc.lock": first, "data.txt": "", ".gitattributes": "data.txt binary"}, track=())
    run("python", PACKAGE, "merge", "--install", cwd=repository.folder)
    assert repository.read(".gitattributes") == "data.txt binary\ndvc.lock merge=dvc-lock\n"
    repository.commit("One")
    for name in "yz":
        repository.command("git", "checkout", "--quiet", "-b", name, "main")
        stage = f"stages:\n  {name}:\n    cmd: {name}\n" if name == "y" else "stages: {}\n"
        repository.write("dvc.lock", first.replace("stages: {}\n", f"- name: {name}\n  url: {name}\n{stage}"))
        repository.commit(name)
    repository.command("git", "merge", "--quiet", "--no-edit", "y")
    merged = yaml.safe_load(repository.read("dvc.lock"))
    assert {one["name"] for one in merged["datasets"]} == {"x", "y", "z"} and list(merged["stages"]) == ["y"]
