"""Snakemake's own options do what its documentation says."""

import pytest

from .commands import run
from .small_pipeline import EVERYTHING, JOINED

# What is asked of a finished pipeline, and what really runs then.
ASKED = {
    "a fresh target": (["joined.txt"], []),
    "--forcerun of a rule: its jobs, and below as far as bytes differ": (
        ["-R", "clean"],
        ["clean/a.txt", "clean/b.txt"],
    ),
    "--forcerun of a file": (["--forcerun", "clean/a.txt", "--"], ["clean/a.txt"]),
    "--force of a target": (["--force", "joined.txt"], ["joined.txt"]),
    "--forceall": (["--forceall"], EVERYTHING),
}


@pytest.mark.slow
@pytest.mark.parametrize("asked", ASKED)
def test_what_is_asked_for_runs(repository, asked):
    arguments, runs = ASKED[asked]
    repository.log.write_text("")
    repository.command("snakemake", "--cores", "2", *arguments)
    assert sorted(repository.log.read_text().split()) == runs
    assert repository.ran("snakemake") == []


@pytest.mark.slow
def test_until_and_single_targets_leave_the_rest_stale(repository):
    repository.write("raw/a.csv", "q\n")
    repository.log.write_text("")
    repository.command("snakemake", "--cores", "2", "--until", "clean")
    assert repository.log.read_text().split() == ["clean/a.txt"]
    repository.command("snakemake", "--cores", "2", "joined.txt")
    assert repository.log.read_text().split() == ["clean/a.txt", "joined.txt"]
    assert repository.ran("snakemake") == ["report/all.txt"]


def test_only_what_belongs_to_the_target_runs(repository):
    repository.write("raw/a.csv", "q\n")
    repository.write("raw/b.csv", "r\n")
    repository.log.write_text("")
    repository.command("snakemake", "--cores", "2", "clean/b.txt")
    assert repository.log.read_text().split() == ["clean/b.txt"]


def test_the_graph_and_the_summary(repository):
    graph = run("snakemake", "--rulegraph", "dot", cwd=repository.folder).stdout
    assert all(f'label = "{rule}"' in graph for rule in ("report", "join", "clean"))
    repository.write("params.yaml", "join: some\n")
    lines = run("snakemake", "--summary", cwd=repository.folder).stdout.splitlines()
    plans = {line.split("\t")[0]: line.split("\t")[-1] for line in lines[1:]}
    assert plans["clean/a.txt"] == "no update"
    assert plans["joined.txt"] == plans["report"] == "update pending"
    assert repository.ran("snakemake") == JOINED


def test_the_report_knows_what_ran(repository):
    repository.write("Snakefile", repository.read("Snakefile").replace('"joined.txt"', 'report("joined.txt")'))
    repository.command("snakemake", "--report", "report.html")
    page = repository.read("report.html")
    assert "joined.txt" in page and '"clean"' in page
