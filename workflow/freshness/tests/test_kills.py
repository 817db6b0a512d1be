"""Kill -9 of Snakemake, of DVC, of the stage, of its job, of all, at random moments: the next run finishes.

Twelve kills in a normal run; the long campaign: `KILLS=100 python -m pytest workflow/freshness/tests/test_kills.py -s`
"""

import os
import random
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from .commands import PACKAGE
from .small_pipeline import BELOW_A, TOOLS, Repository

KILLS = int(os.environ.get("KILLS", "12"))
SEED = int(os.environ.get("KILLS_SEED", "0"))
# A run of the three stages that an edit makes stale takes about this long, with a pause in each.
SECONDS, SLOW = 2.5, 0.3
# What works for a job has the command line of the process that it was forked from.
FORK = "a fork of warm"
VICTIMS = {
    "dvc": {"dvc": ["dvc repro"], "stage": ["clean.py", "collect.py"]},
    "snakemake": {
        "snakemake": ["bin/snakemake"],
        "DVC's process": ["freshness warm"],
        "a fork of it": [FORK],
        "stage": ["clean.py", "collect.py"],
        "job": ["workflow.freshness stage"],
    },
}
# The Snakefile of this repository, and the one for any.
COMMANDS = TOOLS | {"dvc.smk": ("snakemake", "-s", str(PACKAGE / "dvc.smk"), "--cores", "2")}
VICTIMS["dvc.smk"] = VICTIMS["snakemake"] | {"job": ["freshness stage"]}
# `dvc repro` does not clean up what a kill leaves in its lock files: Snakemake does.
DVC_REFUSES = (
    "'./dvc.lock' validation failed",
    "'./dvc.lock' is invalid",
    "is busy, it is being blocked by",
    "Unable to read RWLock-file",
)


def processes(folder: Path) -> list[psutil.Process]:
    """Return every process that runs in the repository, no matter who started it."""
    found = []
    for process in psutil.process_iter(["cwd"]):
        if process.info["cwd"] == str(folder) and process.pid != os.getpid():
            found.append(process)
    return found


def command_of(process: psutil.Process) -> str:
    """Return the command line, and what it is forked from if it did not start another program."""
    command, parent = process.cmdline(), process.parent()
    return FORK if parent and command and parent.cmdline() == command and "warm" in command else " ".join(command)


def kill(folder: Path, words: list[str]) -> bool:
    """Kill what has one of the words in its command line; return whether there was any."""
    killed = False
    for process in processes(folder):
        try:
            if any(word in command_of(process) for word in words):
                process.kill()
                killed = True
        except psutil.NoSuchProcess:
            pass
    return killed


def go_on(repository: Repository, tool: str) -> str:
    """Run to the end, as a user would who tries again while something else is still running; return how it went."""
    for attempt in range(60):
        alone = not processes(repository.folder)
        process = repository.start(*COMMANDS[tool])
        printed = process.communicate()[0]
        if process.returncode == 0:
            return "at once" if attempt == 0 else "after the living had ended"
        assert "Traceback" not in printed, printed
        if alone:
            assert tool == "dvc" and any(words in printed for words in DVC_REFUSES), printed
            return "through Snakemake, " + go_on(repository, "snakemake")
        time.sleep(0.5)
    raise AssertionError(printed)


def test_what_a_killed_stage_leaves_never_counts_and_is_removed(repository):
    before = repository.read("raw/a.csv")
    repository.write("raw/a.csv", "q\n")
    running = repository.start(*TOOLS["snakemake"], slow=600)
    deadline = time.monotonic() + 60
    while not (left := list(repository.path("clean").glob(".writing-a.txt-*/a.txt"))):
        assert running.poll() is None and time.monotonic() < deadline, running.communicate()[0]
        time.sleep(0.01)
    kill(repository.folder, [word for words in VICTIMS["snakemake"].values() for word in words])
    running.communicate()
    assert left[0].exists()
    repository.write("raw/a.csv", before)
    assert repository.ran("snakemake") == []
    assert left[0].exists()
    repository.check_outputs()
    repository.write("raw/a.csv", "r\n")
    assert repository.ran("dvc") == BELOW_A
    repository.check_outputs()
    assert not list(repository.folder.rglob(".writing-*"))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(KILLS))
def test_the_next_run_of_either_tool_finishes(finished, tmp_path_factory, number):
    chance = random.Random(f"{SEED}-{number}")
    repository = finished.copy(tmp_path_factory.mktemp("killed") / "repository")
    tool, after = chance.choice([*COMMANDS]), chance.choice([*COMMANDS])
    repository.tools = COMMANDS
    victim, moment = chance.choice([*VICTIMS[tool], "all"]), chance.uniform(0.1, SECONDS)
    what = f"kill {number}: {victim} of {tool} after {moment:.2f} s, then {after}"
    repository.write("raw/a.csv", f"{number}\nb\n" * 1000)
    repository.write("params.yaml", f"join: run{number}\n")
    repository.log.write_text("")
    running = repository.start(*COMMANDS[tool], slow=SLOW)
    time.sleep(moment)
    words = VICTIMS[tool].get(victim, [word for words in VICTIMS[tool].values() for word in words])
    while not (hit := kill(repository.folder, words)) and running.poll() is None:
        time.sleep(0.01)
    if victim == "snakemake" or not hit:
        time.sleep(chance.uniform(0, 0.5))
    else:
        running.wait()
    how = go_on(repository, after)
    print(f"{what}: {'hit' if hit else 'had ended'}, finished {how}")
    running.communicate()
    deadline = time.monotonic() + 30
    while processes(repository.folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    repository.check_outputs()
    ran = Counter(repository.log.read_text().split())
    assert repository.ran(after) == [], what
    assert set(ran) <= {"clean/a.txt", "joined.txt", "report/all.txt"}, what
    repository.check_outputs()
    repository.check_cache()
