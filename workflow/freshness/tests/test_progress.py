"""What a user sees: a line for each finished step with what came of it, and why a step would run."""

import re

from ..steps import Makers, Step, find_reasons
from .small_pipeline import TOOLS

LINE = re.compile(r"^ *\d+/\d+  (\S+) +\d+\.\d s  (\w+)$", re.MULTILINE)


def test_a_line_for_each_step_says_what_came_of_it(repository):
    repository.write("raw/a.csv", "q\n")
    printed = repository.command(*TOOLS["snakemake"])
    assert LINE.findall(printed) == [
        ("raw/a.csv.dvc", "recorded"),
        ("clean@a", "ran"),
        ("join", "ran"),
        ("report", "ran"),
    ]
    assert not re.search("token|jobid|Reason|Select jobs", printed)
    repository.write("raw/a.csv", "x\ny\n")
    outcomes = dict(LINE.findall(repository.command(*TOOLS["snakemake"])))
    assert outcomes.pop("raw/a.csv.dvc") == "recorded"
    assert outcomes == dict.fromkeys(["clean@a", "join", "report"], "restored")


def test_a_step_that_need_not_run_is_restored(repository):
    repository.write("raw/a.csv", "y\nx\n")
    outcomes = LINE.findall(repository.command("snakemake", "--cores", "1"))
    assert outcomes[1:] == [("clean@a", "ran"), ("join", "restored"), ("report", "restored")]


def test_a_rehearsal_tells_why(repository):
    repository.write("params.yaml", "join: some\n")
    printed = repository.command("snakemake", "--dry-run")
    assert "join\n    params.yaml join: 'all' -> 'some'\n" in printed
    assert "report\n    reads what join will make\n" in printed
    assert "token" not in printed


def test_a_step_that_fails_is_named(repository):
    repository.write("clean.py", "raise SystemExit('no such column: b')\n")
    printed = repository.command("snakemake", "--cores", "1", "clean/a.txt", fails=True)
    assert re.search(r"clean@a +\d+\.\d s  FAILED\nError in rule clean\n", printed)
    assert "no such column: b" in printed and "CalledProcessError" not in printed


def test_snakemakes_own_lines_are_there_when_asked_for(repository):
    repository.write("params.yaml", "join: some\n")
    printed = repository.command("snakemake", "--cores", "1", "--printshellcmds")
    assert "python -m workflow.freshness stage join" in printed and not LINE.search(printed)


def test_reasons_of_many_steps_are_found_by_index():
    """A chain as long as this ends a recursion, and a million pairs of steps take a minute."""
    chain = [Step(f"s{n}", "stage", [f"made/{n}/in"], [f"made/{n + 1}"]) for n in range(5000)]
    steps = {step.name: step for step in reversed(chain)}
    steps["s0"].why = ["never run"]
    steps["all"] = Step("all", "release", ["made"], ["published"])
    find_reasons(steps, Makers(steps.values()))
    assert steps["s4999"].reasons == ["reads what s4998 will make"]
    assert steps["all"].reasons == ["reads what s0, s9, s99 and 4997 more will make"]
