"""A clone whose data is not here: what is fresh stays fresh, and a stale stage gets what it reads, no more."""

import pytest
import yaml

from .commands import PACKAGE
from .small_pipeline import Repository
from .test_faults import COPY, AnyRepository, stage

STAGES = {
    "clean": {"foreach": ["a", "b"], "do": stage("raw/${item}.csv", "clean/${item}.txt", "clean/${item}.log")},
    "join": {
        "cmd": "python copy.py clean/a.txt joined.txt",
        "deps": ["clean"],
        "params": ["join"],
        "outs": ["joined.txt"],
    },
    "report": stage("joined.txt", "report.txt", "report.json", options={"report.json": {"cache": False}}),
    "single": stage("raw/a.csv", "single.txt"),
    "whole": {"cmd": "python copy.py raw/a.csv whole.txt", "deps": ["raw"], "outs": ["whole.txt"]},
}


@pytest.fixture
def clone(tmp_path):
    """A clone of a repository in which everything has run and was pushed; nothing is pulled."""
    origin = AnyRepository(tmp_path / "origin")
    files = {
        "dvc.yaml": yaml.safe_dump({"stages": STAGES}),
        "copy.py": COPY.replace(".lower()", ".lower() + output.name"),
        "params.yaml": "join: 1\n",
    }
    files |= {"raw/a.csv": "A\n", "raw/b.csv": "B\n", "README.md": "one\n"}
    origin.create(files, track=("raw",))
    origin.command("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    origin.ran("snakemake")
    origin.command("dvc", "push", "--quiet")
    origin.commit("Everything has run")
    clone = origin.clone(tmp_path / "clone")
    return clone


def ran(clone: Repository, *options: str, fails: bool = False) -> tuple[list[str], str]:
    clone.log.write_text("")
    printed = clone.command("snakemake", "-s", str(PACKAGE / "dvc.smk"), "--cores", "2", *options, fails=fails)
    return sorted(clone.log.read_text().split()), printed


def here(clone: Repository) -> set[str]:
    """Return the data that is here."""
    names = ["raw/a.csv", "raw/b.csv", "clean/a.txt", "clean/b.txt", "clean/b.log", "joined.txt", "report.txt"]
    names.append("single.txt")
    return {name for name in names if clone.path(name).exists()}


@pytest.mark.parametrize("pull", [(), ("--config", "pull=true")])
def test_without_a_change_nothing_runs_and_nothing_moves(clone, pull):
    clone.write("README.md", "two\n")
    outcome, printed = ran(clone, *pull)
    assert outcome == [] and "Nothing to be done" in printed
    assert here(clone) == set()
    assert not list(clone.path(".dvc/cache").rglob("*")) or pull
    assert "Missing here, but no step that runs reads it" in printed


def test_a_stale_stage_pulls_what_it_reads_and_nothing_else(clone):
    clone.write("params.yaml", "join: 2\n")
    assert "Get it: dvc pull raw.dvc" in ran(clone, fails=True)[1]
    assert ran(clone, "--config", "pull=true")[0] == ["joined.txt"]
    assert here(clone) == {"clean/a.txt", "clean/b.txt", "clean/b.log", "joined.txt"}
    assert "Nothing to be done" in ran(clone)[1]


def test_what_another_has_changed_in_a_folder_is_seen_without_it(clone, tmp_path):
    """The pointer of a folder changes, and which stage is stale follows from the list of its files."""
    origin = AnyRepository(tmp_path / "origin")
    origin.write("raw/b.csv", "CHANGED\n")
    origin.command("dvc", "add", "--quiet", "raw")
    origin.command("dvc", "push", "--quiet")
    origin.commit("Other data")
    clone.command("git", "pull", "--quiet")
    # Without the list, nothing is known of it; what was found then does not count when it can be had.
    assert "clean/b.txt" not in ran(clone, "clean")[0]
    outcome, _ = ran(clone, "--config", "pull=true")
    assert "clean/b.txt" in outcome and "single.txt" not in outcome
    assert clone.read("clean/b.txt") == "changed\nb.txt"


def test_a_file_that_is_gone_is_missing_not_edited(clone):
    clone.command("dvc", "pull", "--quiet")
    clone.path("raw/b.csv").unlink()
    pointer = clone.read("raw.dvc")
    assert ran(clone)[0] == []
    for edited in "raw/a.csv", "raw/new.csv":
        before = clone.read("raw/a.csv")
        clone.write(edited, "EDITED\n")
        for pull in (), ("--config", "pull=true"):
            printed = ran(clone, *pull, fails=True)[1]
            assert (clone.read("raw.dvc"), clone.read(edited)) == (pointer, "EDITED\n")
            assert "DVC tracks raw/b.csv" in printed and "dvc checkout raw/b.csv" in printed
        clone.path(edited).unlink()
        clone.write("raw/a.csv", before)


def test_a_stage_between_two_stale_ones_makes_what_is_missing(clone):
    """The first ends in the same bytes, so the second is unchanged; but the third reads what is missing of it."""
    clone.command("dvc", "pull", "--quiet", "raw.dvc")
    clone.write("params.yaml", "join: 2\n")
    stages = yaml.safe_load(clone.read("dvc.yaml"))
    stages["stages"]["last"] = stage("report.txt", "last.txt")
    clone.write("dvc.yaml", yaml.safe_dump(stages))
    outcome, _ = ran(clone)
    assert "last.txt" in outcome and clone.path("report.txt").exists()


READS_A_PART = f"""
import sys
sys.path.append({str(PACKAGE.parents[1])!r})
from workflow.freshness import Freshness
fresh = Freshness(workflow)
rule join:
    input: fresh.stage("join", reads=["clean/a.txt"])
    output: "joined.txt"
    shell: "python {PACKAGE} stage join"
"""


def test_a_stage_that_reads_a_part_of_a_folder_needs_only_that_and_records_the_whole(clone):
    """A week after old weeks were dropped: what is recorded is what it would be if all were here."""

    def recorded():
        return yaml.safe_load(clone.path("dvc.lock").read_text())["stages"]["join"]["deps"]

    def snakemake(*options):
        return clone.command("snakemake", "--cores", "1", "joined.txt", *options)

    before = recorded()
    clone.write("Snakefile", READS_A_PART)
    clone.write("params.yaml", "join: 2\n")
    snakemake("--config", "pull=true")
    assert here(clone) == {"clean/a.txt", "joined.txt"}
    assert recorded() == before
    assert "Nothing to be done" in snakemake("-n")
    clone.command("dvc", "pull", "--quiet")
    assert "up to date" in clone.command("dvc", "status", "join")


def test_a_stage_of_whose_missing_outputs_one_is_in_the_cache_is_missing_too(clone):
    """As after old weeks were dropped: the empty file of one drop is that of many."""
    clone.command("dvc", "pull", "--quiet")
    lock = yaml.safe_load(clone.path("dvc.lock").read_text())["stages"]["clean@b"]["outs"]
    (text,) = (out["md5"] for out in lock if out["path"] == "clean/b.txt")
    clone.path(f".dvc/cache/files/md5/{text[:2]}/{text[2:]}").unlink()
    for name in ("clean/b.txt", "clean/b.log"):
        clone.path(name).unlink()
    assert "Nothing to be done" in ran(clone)[1]
    assert not clone.path("clean/b.log").exists()
