"""What changes, and what must run."""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from .small_pipeline import BELOW_A, EVERYTHING, JOINED, Repository, every_file

YEAR_2001, YEAR_2038 = 1_000_000_000, 2_150_000_000


@dataclass
class Scenario:
    """What happens to a finished pipeline, and the outputs of the stages that must run then."""

    happens: Callable[[Repository], object]
    runs: list[str]


def set_times(seconds: float) -> Callable[[Repository], None]:
    def happens(repository: Repository) -> None:
        for path in every_file(repository):
            os.utime(path, (seconds, seconds))

    return happens


def delete(*names: str) -> Callable[[Repository], None]:
    def happens(repository: Repository) -> None:
        for path in map(repository.path, names):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return happens


def edit(name: str, old: str, new: str, time: float | None = None) -> Callable[[Repository], None]:
    def happens(repository: Repository) -> None:
        text = repository.read(name)
        assert old in text
        repository.write(name, text.replace(old, new), time)

    return happens


def deliver(repository: Repository) -> None:
    """Add a third file to the two."""
    repository.write("raw/c.csv", "w\n")
    repository.command("dvc", "add", "--quiet", "raw/c.csv")
    edit("dvc.yaml", "[a, b]", "[a, b, c]")(repository)
    edit("dvc.yaml", "clean/b.txt", "clean/b.txt clean/c.txt")(repository)


def all_of(*events: Callable[[Repository], object]) -> Callable[[Repository], None]:
    def happens(repository: Repository) -> None:
        for event in events:
            event(repository)

    return happens


# Both commands run these.
SCENARIOS = {
    "nothing": Scenario(lambda repository: None, []),
    "one byte of a CSV": Scenario(edit("raw/a.csv", "x", "q"), BELOW_A),
    "a change that cleaning undoes": Scenario(edit("raw/a.csv", "x\ny", "Y\nx"), ["clean/a.txt"]),
    "a new file beside the old ones": Scenario(deliver, ["clean/c.txt", *JOINED]),
    "a parameter of one section": Scenario(edit("params.yaml", "join: all", "join: some"), JOINED),
    "a line of code in a module of two stages": Scenario(edit("words.py", 'title + "', 'title + "!'), JOINED),
    "all outputs deleted": Scenario(delete("clean", "joined.txt", "report"), []),
}
# DVC goes by content anyway: these show that Snakemake does too. Where nothing may run, several things happen at once.
SNAKEMAKE_SCENARIOS = {
    "every file is touched, a parameter that no stage reads changes": Scenario(
        all_of(edit("params.yaml", "other: 1", "other: 2"), set_times(2_000_000_000)), []
    ),
    "every file gets a time in 2001, params.yaml a comment": Scenario(
        all_of(edit("params.yaml", "other", "# why\nother"), set_times(YEAR_2001)), []
    ),
    "every file gets a time in 2038, Snakemake's own notes are deleted": Scenario(
        all_of(set_times(YEAR_2038), delete(".snakemake")), []
    ),
    "one byte, older than the outputs": Scenario(edit("raw/a.csv", "x", "q", YEAR_2001), BELOW_A),
    "one byte, from the future": Scenario(edit("raw/a.csv", "x", "q", YEAR_2038), BELOW_A),
    "a docstring in a module of two stages": Scenario(edit("words.py", "texts below", "all texts below"), JOINED),
    "outputs deleted, altered, altered and joined by another file in a folder": Scenario(
        all_of(
            delete("clean/a.txt"),
            edit("joined.txt", "X", "altered"),
            edit("report/all.txt", "X", "altered"),
            lambda repository: repository.write("report/extra.txt", ""),
        ),
        [],
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_runs_when(repository, tool, name):
    check(SCENARIOS[name], repository, tool)


@pytest.mark.parametrize("name", SNAKEMAKE_SCENARIOS)
def test_what_snakemake_runs_when(repository, name):
    check(SNAKEMAKE_SCENARIOS[name], repository, "snakemake")


def check(scenario: Scenario, repository: Repository, tool: str) -> None:
    """Check what runs, and that every output comes back as it was if nothing has to run."""
    before = {path: path.read_bytes() for path in repository.outputs()}
    scenario.happens(repository)
    assert repository.ran(tool) == scenario.runs
    if not scenario.runs:
        assert {path: path.read_bytes() for path in repository.outputs()} == before


def test_a_revert_comes_from_the_run_cache(repository, tool):
    edit("raw/a.csv", "x", "q", YEAR_2001)(repository)
    assert repository.ran(tool) == BELOW_A
    assert "Q\n" in repository.read("report/all.txt")
    edit("raw/a.csv", "q", "x", YEAR_2001 + 1)(repository)
    assert repository.ran(tool) == []
    assert "Q\n" not in repository.read("report/all.txt")
    repository.check_cache()


@pytest.mark.slow
def test_old_and_future_times_do_not_hinder_a_run(repository):
    for seconds, byte in (YEAR_2038, "q"), (YEAR_2001, "r"):
        repository.write("raw/a.csv", f"{byte}\n")
        set_times(seconds)(repository)
        assert repository.ran("snakemake") == BELOW_A


def test_an_edited_csv_is_recorded_and_its_old_version_kept(repository, tool):
    pointer = repository.read("raw/a.csv.dvc")
    edit("raw/a.csv", "x", "q")(repository)
    assert repository.ran(tool) == BELOW_A
    assert repository.read("raw/a.csv") == "q\ny\n"
    assert repository.read("raw/a.csv.dvc") != pointer
    repository.write("raw/a.csv.dvc", pointer)
    repository.command("dvc", "checkout", "--force", "raw/a.csv.dvc")
    assert repository.read("raw/a.csv") == "x\ny\n"
    assert repository.ran(tool) == []


def test_what_did_not_have_to_run_is_shown(repository):
    edit("raw/a.csv", "x\ny", "Y\nx")(repository)
    printed = repository.command("snakemake", "--cores", "2")
    assert "Stages: 1 ran; 2 did not have to, DVC knew the outcome: join, report" in printed
    edit("raw/a.csv", "Y", "q")(repository)
    assert "Stages: 3 ran\n" in repository.command("snakemake", "--cores", "2")


def test_the_reason_is_printed_before_and_during_the_run(repository):
    edit("raw/a.csv", "x", "q")(repository)
    edit("params.yaml", "join: all", "join: some")(repository)
    repository.command("snakemake", "--dry-run")
    printed = repository.command("python", "-m", "workflow.freshness", "why")
    assert re.search(r"^clean@a\n    raw/a.csv: [0-9a-f]{8} -> [0-9a-f]{8}$", printed, re.MULTILINE), printed
    join = re.search(r"^join\n((?:    .*\n)+)", printed, re.MULTILINE)[1].splitlines()
    assert {line.strip() for line in join} == {
        "changed command",
        "params.yaml join: 'all' -> 'some'",
        "reads what clean@a will make",
    }
    assert "clean@b" not in printed
    assert "Why: params.yaml join: 'all' -> 'some'" in repository.command("snakemake", "--cores", "2")
    repository.command("snakemake", "--dry-run")
    assert repository.command("python", "-m", "workflow.freshness", "why") == "Nothing is stale.\n"


def test_missing_data_says_how_to_get_it(repository):
    repository.path("raw/a.csv").unlink()
    shutil.rmtree(repository.path(".dvc/cache"))
    message = repository.command("snakemake", "--cores", "1", fails=True)
    assert (
        "DVC tracks raw/a.csv, but it is not here, and steps that run read it. Get it: dvc pull raw/a.csv.dvc"
        in message
    )


def test_a_rule_for_an_unknown_stage_is_named(repository):
    message = repository.command("snakemake", "--cores", "1", "clean/c.txt", fails=True)
    assert re.search(r"Missing input files for rule clean:.*a stage or pointer 'clean@c' in DVC", message, re.DOTALL)
    edit("Snakefile", 'fresh.stage("join")', 'fresh.stage("joined")')(repository)
    message = repository.command("snakemake", "--cores", "1", fails=True)
    assert "DVC knows no stage or pointer 'joined'" in message


def test_dvc_makes_everything_once_at_first_and_the_same_as_snakemake(repository, tmp_path):
    fresh = Repository(tmp_path / "fresh" / "repository")
    fresh.create()
    assert fresh.ran("dvc") == EVERYTHING
    assert [path.read_bytes() for path in fresh.outputs()] == [path.read_bytes() for path in repository.outputs()]
