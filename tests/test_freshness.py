"""The bridge alone: a small pipeline of fast stages, through both doors."""

import os
import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, run

DVC_YAML = """
stages:
  clean:
    foreach: [a, b]
    do:
      cmd: python stage.py clean/${item}.txt raw/${item}.csv
      deps: ["raw/${item}.csv", stage.py]
      outs: ["clean/${item}.txt"]
  join:
    cmd: python stage.py joined.txt clean/a.txt clean/b.txt
    deps: [clean, stage.py]
    params: [join]
    outs: [joined.txt]
"""
# Upper-cases and sorts its inputs, so that some changes are undone; writes to a log outside that it ran.
STAGE = """
import os, sys
from pathlib import Path
output, *inputs = map(Path, sys.argv[1:])
with open(os.environ["RAN"], "a") as log:
    log.write(f"{output}\\n")
output.parent.mkdir(exist_ok=True)
output.write_text("".join(sorted("".join(path.read_text() for path in inputs).upper().splitlines(True))))
"""
SNAKEFILE = """
import sys
sys.path.insert(0, f"{workflow.basedir}/workflow")
from freshness import Freshness
fresh = Freshness(workflow)
rule join:
    input: fresh.stage("join")
    output: "joined.txt"
    shell: "python workflow/freshness.py join"
rule clean:
    input: fresh.stage("clean@{name}")
    output: "clean/{name}.txt"
    shell: "python workflow/freshness.py clean@{wildcards.name}"
rule track:
    input: fresh.stage("raw/{name}.csv.dvc")
    output: update("raw/{name}.csv.dvc")
    shell: "python workflow/freshness.py {output}"
"""


class Repository:
    """A small pipeline in a folder, and what ran in it."""

    def __init__(self, folder: Path):
        self.folder, self.log = folder, folder.parent / "ran.log"

    def create(self) -> None:
        (self.folder / "raw").mkdir(parents=True)
        (self.folder / "workflow").mkdir()
        shutil.copytree(ROOT / "profiles", self.folder / "profiles")
        for module in (ROOT / "workflow").glob("*.py"):
            shutil.copy(module, self.folder / "workflow")
        files = {"dvc.yaml": DVC_YAML, "stage.py": STAGE, "Snakefile": SNAKEFILE, "params.yaml": "join: 1\nother: 1\n"}
        files |= {
            "raw/a.csv": "x\ny\n",
            "raw/b.csv": "z\n",
            ".gitignore": "/clean\n/joined.txt\n/raw/*.csv\n.snakemake\n",
        }
        for name, text in files.items():
            (self.folder / name).write_text(text)
        self.command("git", "init", "--quiet")
        self.command("dvc", "init", "--quiet")
        self.command("dvc", "add", "--quiet", "raw/a.csv", "raw/b.csv")

    def command(self, *parts: str, fails: bool = False) -> str:
        answer = run(*parts, cwd=self.folder, fails=fails, RAN=str(self.log))
        return answer.stdout + answer.stderr

    def ran(self, door: str) -> list[str]:
        """Go through a door; return the outputs of the stages that really ran, and check that nothing is left."""
        self.log.write_text("")
        printed = self.command(*{"dvc": ("dvc", "repro"), "snakemake": ("snakemake", "--cores", "2")}[door])
        assert door == "dvc" or "Using workflow specific profile profiles/default" in printed
        assert "Nothing to be done" in self.command("snakemake", "--dry-run")
        assert "up to date" in self.command("dvc", "status")
        return sorted(self.log.read_text().split())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The pipeline, run once."""
    repository = Repository(tmp_path_factory.mktemp("finished") / "repository")
    repository.create()
    assert repository.ran("snakemake") == ["clean/a.txt", "clean/b.txt", "joined.txt"]
    return repository


@pytest.fixture(params=["dvc", "snakemake"])
def door(request):
    return request.param


@pytest.fixture
def repository(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "repository", symlinks=True)
    return Repository(tmp_path / "repository")


def every_file(folder):
    return [
        path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts and ".dvc" not in path.parts
    ]


def test_nothing_changed_nothing_runs(repository, door):
    assert repository.ran(door) == []


@pytest.mark.parametrize("year", [2001, 2038])
def test_the_time_of_a_file_means_nothing(repository, year):
    seconds = (year - 1970) * 365.25 * 86400
    for path in every_file(repository.folder):
        os.utime(path, (seconds, seconds))
    assert repository.ran("snakemake") == []
    # Nor does it hide a change, and the times of the others are no obstacle to a run.
    (repository.folder / "raw" / "a.csv").write_text("x\nother\n")
    os.utime(repository.folder / "raw" / "a.csv", (1, 1))
    assert repository.ran("snakemake") == ["clean/a.txt", "joined.txt"]


def test_a_changed_byte_runs_what_reads_it_and_a_revert_runs_nothing(repository, door):
    raw = repository.folder / "raw" / "b.csv"
    raw.write_text("changed\n")
    os.utime(raw, (1, 1))
    assert repository.ran(door) == ["clean/b.txt", "joined.txt"]
    assert (repository.folder / "joined.txt").read_text() == "CHANGED\nX\nY\n"
    assert "raw/b.csv" not in repository.command("dvc", "status"), "the pointer follows the file"
    raw.write_text("z\n")
    assert repository.ran(door) == [], "the run cache has it"
    assert (repository.folder / "joined.txt").read_text() == "X\nY\nZ\n"


def test_a_change_that_a_stage_undoes_stops_there(repository, door):
    (repository.folder / "raw" / "a.csv").write_text("Y\nx\n")
    assert repository.ran(door) == ["clean/a.txt"]


def test_only_the_parameter_of_a_stage_makes_it_stale(repository, door):
    params = repository.folder / "params.yaml"
    params.write_text("# a comment\njoin: 1\nother: 2\n")
    assert repository.ran(door) == []
    params.write_text("join: 2\nother: 2\n")
    assert repository.ran(door) == ["joined.txt"]


def test_the_reason_is_told_before_and_while_it_runs(repository):
    (repository.folder / "raw" / "a.csv").write_text("changed\n")
    (repository.folder / "params.yaml").write_text("join: 2\nother: 1\n")
    repository.command("snakemake", "--dry-run")
    told = repository.command("python", "workflow/why.py")
    assert re.search(r"^clean@a\n    raw/a.csv: [0-9a-f]{8} -> [0-9a-f]{8}$", told, re.MULTILINE), told
    assert "join\n    params.yaml join: 1 -> 2\n    reads what clean@a will make\n" in told
    assert "clean@b" not in told
    assert "Why: params.yaml join: 1 -> 2" in repository.command("snakemake", "--cores", "2")
    repository.command("snakemake", "--dry-run")
    assert repository.command("python", "workflow/why.py") == "Nothing is stale.\n"


def test_a_lost_or_altered_output_is_restored_not_computed(repository, door):
    (repository.folder / "clean" / "a.txt").unlink()
    (repository.folder / "joined.txt").write_text("altered")
    assert repository.ran(door) == []
    assert (repository.folder / "joined.txt").read_text() == "X\nY\nZ\n"


def test_missing_data_says_how_to_get_it(repository):
    (repository.folder / "raw" / "a.csv").unlink()
    shutil.rmtree(repository.folder / ".dvc" / "cache")
    message = repository.command("snakemake", "--cores", "1", fails=True)
    assert "DVC tracks raw/a.csv, but it is not here. Get it: dvc pull" in message


def test_a_half_written_lock_file_and_locks_of_the_dead_are_mended(repository):
    lock = repository.folder / "dvc.lock"
    lock.write_text(lock.read_text()[:-60].rsplit("\n", 1)[0] + '\n    "')
    (repository.folder / ".dvc" / "tmp").mkdir(exist_ok=True)
    (repository.folder / ".dvc" / "tmp" / "rwlock").write_text(
        '{"write": {"x": {"pid": 99999999, "cmd": "dvc repro"}}}'
    )
    assert repository.ran("snakemake") == []
