"""What users of dvc.smk do, each in a small repository that has only a dvc.yaml."""

import json
import shutil
from pathlib import Path

import pytest

from .commands import PACKAGE, run, wait_until
from .small_pipeline import Repository

pytestmark = pytest.mark.slow

# Each command writes when it begins and ends; "slow" ones take a second.
DO = """
import os, sys, time
from pathlib import Path
name, *words = sys.argv[1:]
with open(os.environ["RAN"], "a") as log:
    print("begin", name, time.monotonic(), file=log)
time.sleep(float(os.environ.get("SLOW", "0")) if "slow" in words else 0)
print("long line " * 100, "\\n" * 20_000 if "loud" in words else "")
if "fail" in words:
    sys.exit("the reason for the failure")
Path(f"{name}.txt").write_text(name)
with open(os.environ["RAN"], "a") as log:
    print("end", name, time.monotonic(), file=log)
"""
BELOW = """
stages:
  train: {cmd: python ../do.py trained, deps: [../clean-a.txt], outs: [trained.txt]}
  score: {cmd: python ../do.py scored, deps: [trained.txt], outs: [scored.txt]}
"""
PIPELINE = """
stages:
  clean:
    foreach: [a, b]
    do: {cmd: "python do.py clean-${item} slow", deps: [raw.csv], outs: ["clean-${item}.txt"]}
  all: {cmd: python do.py all, deps: [clean-a.txt, do.py], outs: [all.txt]}
  stage: {cmd: python do.py stage, deps: [clean-b.txt], outs: [stage.txt]}
"""
EVERYTHING = ["all", "clean-a", "clean-b", "scored", "stage", "trained"]
BELOW_A = ["clean-a", "trained"]


def create(folder: Path, files: dict[str, str]) -> Repository:
    repository = Repository(folder, log=folder.parent / "ran.log")
    for name, text in {"do.py": DO, "raw.csv": "x\n", **files}.items():
        repository.write(name, text)
    repository.command("git", "init", "--quiet")
    repository.command("dvc", "init", "--quiet")
    repository.command("dvc", "add", "--quiet", "raw.csv")
    repository.commit("All")
    return repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return create(tmp_path / "repository", {"dvc.yaml": PIPELINE, "sub/dvc.yaml": BELOW})


def snakemake(*arguments: str, package: Path = PACKAGE, cores: int = 2) -> list[str]:
    return ["snakemake", "-s", str(package / "dvc.smk"), "--cores", str(cores), *arguments]


def ran(repository: Repository) -> list[str]:
    """Return what ran since the last question."""
    lines = repository.log.read_text().splitlines() if repository.log.exists() else []
    repository.log.unlink(missing_ok=True)
    return sorted(line.split()[1] for line in lines if line.startswith("begin"))


def run_at_once(repository: Repository) -> bool:
    """Run both stages of a group with four cores and a gigabyte; return whether they ran at the same time."""
    process = repository.start(*snakemake("clean", "--resources", "mem_mb=1000", cores=4), slow=1)
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    lines = repository.log.read_text().splitlines()
    return [line.split()[0] for line in lines] == ["begin", "begin", "end", "end"]


@pytest.mark.parametrize(
    ("target", "stages"),
    [
        ("clean@b", ["clean-b"]),
        ("clean", ["clean-a", "clean-b"]),
        ("all", ["all", "clean-a"]),
        ("stage", ["clean-b", "stage"]),
        ("dvc.yaml", ["all", "clean-a", "clean-b", "stage"]),
        ("sub/dvc.yaml", ["clean-a", "scored", "trained"]),
        ("sub/dvc.yaml:train", BELOW_A),
        ("raw.csv.dvc", []),
    ],
)
def test_a_target_is_any_name_that_dvc_knows(repository, target, stages):
    repository.command(*snakemake(target))
    assert ran(repository) == stages
    assert "Nothing to be done" in repository.command(*snakemake(target))


def test_without_a_target_everything_runs(repository):
    repository.command(*snakemake())
    assert ran(repository) == EVERYTHING
    assert repository.command("dvc", "status").strip() == "Data and pipelines are up to date."
    unknown = repository.command(*snakemake("tarin"), fails=True)
    assert "tarin" in unknown


def test_names_may_have_any_characters(tmp_path):
    items = ["10:30", "a b", "ü", "x%2Fy", "x/y", "a,b", "x'y", "{z}", "-q", "1.5"]
    stage = {"foreach": items, "do": {"cmd": 'python do.py "${item}"', "deps": ["do.py"], "wdir": ".."}}
    text = json.dumps({"stages": {"each": stage}})
    files = {"do.py": DO.replace("Path(f", "# "), "at@home/dvc.yaml": text, "sub/dvc.yaml": text}
    repository = create(tmp_path / "repository", files)
    for target in "sub/dvc.yaml:each", "at@home/dvc.yaml:each":
        repository.command(*snakemake(target))
        assert len(ran(repository)) == len(items)
    assert "Nothing to be done" in repository.command(*snakemake("sub/dvc.yaml", "at@home/dvc.yaml:each@{z}"))


def test_a_pointer_as_target_records_its_data(repository):
    before = repository.read("raw.csv.dvc")
    repository.write("raw.csv", "y\n")
    repository.command(*snakemake("raw.csv.dvc"))
    assert repository.read("raw.csv.dvc") != before
    assert repository.command("dvc", "status", "raw.csv.dvc").strip() == "Data and pipelines are up to date."
    assert ran(repository) == []


def test_forced_stages_run_again(repository):
    repository.command(*snakemake())
    ran(repository)
    repository.command(*snakemake("--forcerun", "sub/dvc.yaml:train"))
    assert ran(repository) == ["trained"], "what reads it finds the same bytes"
    repository.command(*snakemake("--forcerun", "clean"))
    assert ran(repository) == ["clean-a", "clean-b"]
    repository.command(*snakemake("all", "--force"))
    assert ran(repository) == ["all"]
    repository.command(*snakemake("--forceall"))
    assert ran(repository) == EVERYTHING


@pytest.mark.parametrize("option", ["alone: gpu", "alone: [mem, tmpdir]", "threads: 3", "mem_mb: 800"])
def test_options_keep_stages_apart(repository, option):
    repository.write("freshness.yaml", f"clean: {{{option}}}\n")
    assert not run_at_once(repository)


def test_options_of_one_stage_add_to_those_of_its_group(repository):
    repository.write("freshness.yaml", "clean@a: {mem_mb: 100}\nclean@b: {mem_mb: 100}\nclean: {threads: 3}\n")
    assert not run_at_once(repository)
    repository.write("freshness.yaml", "clean@a: {threads: 1}\nclean: {threads: 3}\n")
    repository.write("raw.csv", "y\n")
    repository.log.unlink()
    assert run_at_once(repository)


def test_without_options_stages_run_at_once(repository):
    assert run_at_once(repository)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tarin: {threads: 4}", "'tarin'"),
        ("all: {cores: 4}", "cores: "),
        ("all: {threads: four}", "'four'"),
        ("all: {threads: 0}", "threads: "),
        ("all: {mem_mb: -1}", "mem_mb: "),
        ("all: {alone: [4]}", "alone: "),
        ("all:", "all"),
        ("all: {threads", "not YAML"),
    ],
)
def test_a_mistake_in_the_options_is_one_clear_error(repository, text, said):
    repository.write("freshness.yaml", text)
    printed = repository.command(*snakemake(), fails=True)
    assert not ran(repository)
    assert "freshness.yaml" in printed
    assert said in printed
    assert "in <module>" not in printed, "this is no fault of dvc.smk"


def test_a_stage_that_fails_shows_its_log(repository):
    repository.write("dvc.yaml", PIPELINE.replace("do.py all", "do.py all fail"))
    process = repository.start(*snakemake())
    printed, _ = process.communicate()
    assert process.returncode == 1
    assert "Error in rule" in printed
    assert "the reason for the failure" in printed
    assert "Traceback" not in printed
    assert "all" in ran(repository)


def test_a_stage_that_prints_much_does_not_flood_the_terminal(repository):
    repository.write("dvc.yaml", PIPELINE.replace("do.py all", "do.py all loud"))
    assert len(repository.command(*snakemake())) < 5_000
    log = repository.read(".snakemake/freshness/logs/all.log")
    assert log.count("\n") > 20_000
    assert "long line" in log


def test_a_folder_of_the_repository_will_not_do(repository):
    inside = Repository(repository.path("sub"), log=repository.log)
    assert f"Run it in {repository.folder}" in inside.command(*snakemake("train"), fails=True)
    assert not repository.path("sub/.snakemake/freshness/plan.json").exists()


def test_a_folder_without_a_repository_is_refused(tmp_path):
    answer = run(*snakemake(), cwd=tmp_path, fails=True)
    assert "not inside of a DVC repository" in answer.stderr
    assert "Try again" not in answer.stderr


def test_paths_may_have_spaces_and_accents(tmp_path):
    package = tmp_path / "my tools" / "frésh"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    files = {"dvc.yaml": PIPELINE, "mi año/dvc.yaml": BELOW}
    repository = create(tmp_path / "el ñandú" / "my repository", files)
    repository.command(*snakemake(package=package))
    assert ran(repository) == EVERYTHING
    repository.command(*snakemake("mi año/dvc.yaml:train", "--forcerun", "mi año/dvc.yaml:train", package=package))
    assert ran(repository) == ["trained"]
    repository.write("raw.csv", "changed\n")
    repository.command(*snakemake("--dry-run", package=package))
    assert "raw.csv" in repository.command("python", str(package), "why")


def test_why_names_what_changed_after_an_edit(repository):
    repository.command(*snakemake())
    repository.write("do.py", DO + "# edited\n")
    repository.command(*snakemake("--dry-run"))
    printed = repository.command("python", str(PACKAGE), "why")
    assert printed.splitlines()[0] == "all"
    assert "do.py" in printed.splitlines()[1]
    assert len(printed.splitlines()) == 2


def test_dvc_and_snakemake_take_turns(repository):
    """While `dvc repro` runs a stage, Snakemake waits or runs others; all are done in the end."""
    dvc = repository.start("dvc", "repro", slow=2)
    wait_until(lambda: repository.log.exists() and "begin" in repository.log.read_text())
    run_by_snakemake = repository.start(*snakemake())
    printed = [process.communicate()[0] for process in (dvc, run_by_snakemake)]
    assert [dvc.returncode, run_by_snakemake.returncode] == [0, 0], printed
    assert ran(repository) == EVERYTHING
    assert json.loads(run("dvc", "status", "--json", cwd=repository.folder).stdout.splitlines()[-1]) == {}
