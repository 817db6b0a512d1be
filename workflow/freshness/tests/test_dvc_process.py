"""One DVC process serves the jobs of a run: what they hand over, and what happens when it ends or things change."""

import contextlib
import fcntl
from pathlib import Path

import psutil
import pytest

from .commands import wait_until
from .small_pipeline import BELOW_A, FILES, JOINED, PROFILE, TOOLS, Repository
from .test_kills import command_of, processes

HANDED_OVER = """
stages:
  tell:
    cmd: python tell.py
    outs: [seen.txt]
"""
TELL = """
import os, resource, sys
with open("seen.txt", "w") as file:
    umask = os.umask(0)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    words = sys.stdin.read(), os.environ["GREETING"], os.nice(0), oct(umask), limit, file.fileno()
    print(*words, file=file)
"""
TELLING = """
import sys
sys.path.append(workflow.basedir)
from workflow.freshness import Freshness
fresh = Freshness(workflow)
rule tell:
    input: fresh.stage("tell")
    output: "seen.txt"
    log: "tell.log"
    shell: "umask 027; ulimit -n 777; export GREETING=hello;"
        " echo -n asked | nice -n 5 python -m workflow.freshness stage tell > {log} 2>&1"
"""


def dvc_processes(repository: Repository) -> list[psutil.Process]:
    """Return the DVC process of a run and its forks."""
    found = []
    for process in processes(repository.folder):
        with contextlib.suppress(psutil.NoSuchProcess):
            if " warm " in command_of(process):
                found.append(process)
    return found


def wait_for_stage(repository: Repository, output: str) -> None:
    """Wait until the command of a stage has begun."""
    wait_until(lambda: output in repository.log.read_text().split())


def test_a_job_hands_over_its_files_its_environment_and_its_limits(tmp_path):
    repository = Repository(tmp_path / "repository")
    files = {"dvc.yaml": HANDED_OVER, "Snakefile": TELLING, "profiles/default/config.yaml": PROFILE, "tell.py": TELL}
    repository.create(files | {".dvcignore": FILES[".dvcignore"]}, track=())
    repository.command("snakemake", "--cores", "1")
    assert repository.read("seen.txt") == "asked hello 5 0o27 777 3\n"
    assert repository.read("tell.log").startswith("Why: never run\n")
    assert "Running stage 'tell'" in repository.read("tell.log")


def test_the_process_ends_with_the_run(repository):
    repository.write("raw/a.csv", "q\n")
    assert repository.ran("snakemake") == BELOW_A
    wait_until(lambda: not dvc_processes(repository))
    assert not list(repository.path(".snakemake/freshness").glob("*.sock"))


def test_without_the_process_jobs_fail_with_one_line_and_the_next_run_goes_on(repository):
    repository.write("raw/a.csv", "q\n")
    repository.log.write_text("")
    running = repository.start(*TOOLS["snakemake"], slow=2)
    wait_for_stage(repository, "clean/a.txt")
    (oldest,) = (one for one in dvc_processes(repository) if "a fork of" not in command_of(one))
    oldest.kill()
    printed = running.communicate()[0]
    assert running.returncode == 1
    assert "ERROR: the DVC process of this run has ended" in printed and "Traceback" not in printed
    assert repository.log.read_text().split() == ["clean/a.txt"], "the stage that ran has ended well"
    assert repository.ran("snakemake") == JOINED
    repository.check_outputs()


def test_where_no_process_can_be_reached_a_job_loads_dvc_itself(repository):
    repository.write("raw/a.csv", "q\n")
    repository.log.write_text("")
    repository.command("snakemake", "--cores", "1", "--until", "track")
    printed = repository.command("python", "-m", "workflow.freshness", "stage", "clean@a")
    assert "Running stage 'clean@a'" in printed
    assert repository.log.read_text().split() == ["clean/a.txt"]
    assert "no stage or pointer 'nothing'" in repository.command(
        "python", "-m", "workflow.freshness", "stage", "nothing", fails=True
    )


@pytest.mark.parametrize("edited", ["params.yaml", "dvc.yaml"])
def test_what_is_edited_during_a_run_counts_for_the_stages_that_have_not_begun(repository, edited):
    repository.write("raw/a.csv", "q\n")
    repository.log.write_text("")
    running = repository.start(*TOOLS["snakemake"], slow=1.5)
    wait_for_stage(repository, "clean/a.txt")
    repository.write("params.yaml", "join: later\nother: 1\n")
    if edited == "dvc.yaml":
        repository.write("params.yaml", "join: all\nother: 1\n")
        repository.write("dvc.yaml", repository.read("dvc.yaml").replace("${join}", "later"))
    assert running.communicate() and running.returncode == 0
    assert repository.read("joined.txt").startswith("later\n")
    assert repository.ran("dvc") == []


def test_what_another_dvc_does_during_a_run_is_not_done_again(repository):
    repository.write("raw/a.csv", "q\n")
    repository.log.write_text("")
    running = repository.start("snakemake", "--cores", "1", slow=1.5)
    wait_for_stage(repository, "clean/a.txt")
    lock = repository.read("dvc.lock")
    # What a colleague's commit brings: `join` in another state than this run has loaded.
    loaded, other = (f"cmd: python collect.py joined.txt {title}" for title in ("all", "old"))
    repository.write("dvc.lock", lock.replace(loaded, other))
    assert running.communicate() and running.returncode == 0
    assert sorted(repository.log.read_text().split()) == BELOW_A
    assert repository.read("dvc.lock").count("cmd: python collect.py joined.txt") == 1
    repository.check_outputs()


def test_why_answers_during_a_run(repository):
    repository.write("raw/a.csv", "q\n")
    repository.log.write_text("")
    running = repository.start(*TOOLS["snakemake"], slow=2)
    wait_for_stage(repository, "joined.txt")
    hold = Path(f"{repository.log}.hold")
    hold.touch()
    # What `make why` does first: it is refused, and leaves what the running one has found.
    assert "runs in this folder already" in repository.command("snakemake", "--dry-run", fails=True)
    said = repository.command("python", "-m", "workflow.freshness", "why")
    assert said.startswith("Snakemake is running; 2 steps are not done:\njoin\n    reads what clean@a will make\n")
    assert "report\n    reads what join will make\n" in said
    hold.unlink()
    assert running.communicate() and running.returncode == 0
    assert repository.command("python", "-m", "workflow.freshness", "why") == "Nothing is stale.\n"


def test_a_stage_whose_job_is_killed_ends(repository):
    repository.write("raw/a.csv", "q\n")
    repository.log.write_text("")
    running = repository.start(*TOOLS["snakemake"], slow=600)
    wait_for_stage(repository, "clean/a.txt")
    (job,) = (one for one in processes(repository.folder) if "workflow.freshness stage clean@a" in command_of(one))
    job.kill()
    assert running.communicate() and running.returncode == 1
    wait_until(lambda: not processes(repository.folder))
    assert repository.ran("snakemake") == BELOW_A


def test_a_refusal_of_dvc_reaches_the_job(repository):
    """While the last answer stands, the main process does not wait for the DVC process that it starts for the jobs."""
    repository.write("params.yaml", "join: some\n")
    repository.command("snakemake", "--dry-run")
    repository.write("Snakefile", repository.read("Snakefile").replace("(workflow)", "(workflow, wait=1)"))
    with repository.path(".dvc/tmp/lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        printed = repository.command("snakemake", "--cores", "1", fails=True)
    assert "ERROR: DVC is busy in this repository" in printed
    assert repository.ran("snakemake") == JOINED
