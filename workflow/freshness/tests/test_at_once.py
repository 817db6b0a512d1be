"""Several at once: stages that wait for each other, DVC beside Snakemake, two of the same."""

import json

import pytest

from .small_pipeline import BELOW_A, FILES, JOINED, PROFILE, TOOLS, Repository

EIGHT = """
stages:
  meet:
    foreach: [a, b, c, d, e, f, g, h]
    do:
      cmd: python meet.py met/${item}.txt
      outs: ["met/${item}.txt"]
"""
# Each of eight ends when it has seen all the others running: run one after the other, none would end.
MEET = """
import sys, time
from pathlib import Path
Path(sys.argv[1]).parent.mkdir(exist_ok=True)
Path(sys.argv[1]).write_text("met")
deadline = time.monotonic() + 60
while len(list(Path("met").glob("?.txt"))) < 8:
    if time.monotonic() > deadline:
        sys.exit("the others do not run at the same time")
    time.sleep(0.05)
"""
MEETING = """
import sys
sys.path.append(workflow.basedir)
from workflow.freshness import Freshness
fresh = Freshness(workflow)
rule all:
    input: expand("met/{name}.txt", name=list("abcdefgh"))
rule meet:
    input: fresh.stage("meet@{name}")
    output: "met/{name}.txt"
    shell: "python -m workflow.freshness stage meet@{wildcards.name}"
"""
BUSY = (
    "Unable to acquire lock",
    "is busy, it is being blocked by",
    "Snakemake runs in this folder already",
    "DVC is busy",
)


def test_eight_stages_run_at_the_same_time(tmp_path):
    repository = Repository(tmp_path / "repository")
    repository.create(
        {
            "profiles/default/config.yaml": PROFILE,
            "dvc.yaml": EIGHT,
            "meet.py": MEET,
            "Snakefile": MEETING,
            ".dvcignore": FILES[".dvcignore"],
        },
        track=(),
    )
    repository.command("snakemake", "--cores", "8")
    assert "Nothing to be done" in repository.command("snakemake", "--dry-run")
    assert "up to date" in repository.command("dvc", "status")


@pytest.mark.parametrize("tools", [("dvc", "snakemake"), ("snakemake", "snakemake"), ("dvc", "dvc")], ids="-".join)
def test_two_at_the_same_time_take_turns_or_say_why_one_stops(repository, tools):
    repository.write("raw/a.csv", "q\n")
    repository.log.write_text("")
    both = [repository.start(*TOOLS[tool], slow=1) for tool in tools]
    printed = [process.communicate()[0] for process in both]
    for process, text in zip(both, printed, strict=True):
        assert "Traceback" not in text
        assert process.returncode == 0 or any(words in text for words in BUSY), text
    assert sorted([*repository.log.read_text().split(), *repository.ran("snakemake")]) == BELOW_A
    repository.check_outputs()
    repository.check_cache()


def test_a_living_process_keeps_its_lock_and_a_dead_one_loses_it(repository):
    """The number of a dead DVC may belong to another program after a restart."""
    rwlock = repository.path(".dvc/tmp/rwlock")
    output = str(repository.path("clean/a.txt"))
    living = repository.start("sleep", "60")
    try:
        rwlock.write_text(json.dumps({"write": {output: {"pid": living.pid, "cmd": "dvc repro"}}}))
        repository.write("Snakefile", repository.read("Snakefile").replace("(workflow)", "(workflow, wait=1)"))
        assert "DVC is busy in this repository" in repository.command("snakemake", "--cores", "1", fails=True)
        repository.write(".dvc/tmp/rwlock", rwlock.read_text(), time=1_000_000_000)
        assert repository.ran("snakemake") == []
    finally:
        living.kill()
        living.communicate()
    for text in json.dumps({"write": {output: {"pid": 99_999_999, "cmd": "dvc repro"}}}), '{"write": {':
        rwlock.write_text(text)
        assert repository.ran("snakemake") == []


@pytest.mark.parametrize("cut", ["in a word", "after a line"])
def test_a_half_written_lock_file_is_restored(repository, cut):
    whole = repository.read("dvc.lock")
    half = whole[: len(whole) // 2]
    repository.write("dvc.lock", half.rsplit("\n", 1)[0] + ('\n    "' if cut == "in a word" else "\n"))
    assert repository.ran("snakemake") == []
    assert repository.read("dvc.lock") == whole


def test_jobs_on_a_cluster_follow_the_decision_of_the_main_process(repository):
    """Each job is a Snakemake of its own that parses the Snakefile again, as with every cluster's executor."""
    snakefile = repository.read("Snakefile")
    repository.write("Snakefile", snakefile + 'open("parsed.log", "a").write(f"{workflow.is_main_process}\\n")\n')
    repository.write("params.yaml", "join: some\n")
    repository.log.write_text("")
    repository.write("submit.sh", 'nohup sh "$1" > /dev/null 2>&1 &\n')
    repository.command(
        *("snakemake", "--executor", "cluster-generic", "--jobs", "2", "--seconds-between-status-checks", "1"),
        *("--cluster-generic-submit-cmd", "sh submit.sh"),
    )
    assert repository.log.read_text().split() == JOINED
    assert sorted(repository.read("parsed.log").split()) == ["False"] * 2 + ["True"]
    repository.write("Snakefile", snakefile)
    assert repository.ran("snakemake") == []
