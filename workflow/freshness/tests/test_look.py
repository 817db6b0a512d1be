"""A look without DVC: while nothing has changed DVC is not imported, and whatever changes is seen."""

import os
import shutil

import pytest

from .commands import run
from .small_pipeline import Repository

# A rule for whatever dvc.yaml has: none of its stages makes anything.
ALONE = """
rule read:
    input: [fresh.stage(name) for name in fresh.steps if name.startswith("read")]
    output: [fresh.stamp(name) for name in fresh.steps if name.startswith("read")]
    shell: "false"
"""


def look(repository: Repository) -> tuple[bool, bool]:
    """Rehearse a run; return whether nothing is to be done, and whether DVC was started."""
    answer = run("snakemake", "--dry-run", cwd=repository.folder, PYTHONPROFILEIMPORTTIME="1", RAN=str(repository.log))
    assert "workflow.freshness.bridge" in answer.stderr
    return "Nothing to be done" in answer.stdout + answer.stderr, "| dvc.repo" in answer.stderr.replace("  ", "")


@pytest.fixture
def looked(repository: Repository) -> Repository:
    """The small pipeline, in which everything has run and DVC has been asked since."""
    look(repository)
    assert look(repository) == (True, False)
    return repository


def change_in_place(repository: Repository) -> None:
    """Change a byte and keep the size and the time."""
    before = repository.path("clean.py").stat()
    repository.write("clean.py", repository.read("clean.py").replace("upper", "lower"))
    os.utime(repository.path("clean.py"), ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_by_link(repository: Repository) -> None:
    repository.path("joined.txt").rename(repository.path("moved.txt"))
    repository.write("moved.txt", "other\n")
    repository.path("joined.txt").symlink_to("moved.txt")


def forget_in_the_cache(repository: Repository) -> None:
    shutil.rmtree(repository.path(".dvc/cache"))


def add_a_pointer(repository: Repository) -> None:
    repository.write("new/place/c.csv", "c\n")
    repository.command("dvc", "add", "--quiet", "new/place/c.csv")
    repository.write("new/place/c.csv", "d\n")


def add_a_pipeline(repository: Repository) -> None:
    repository.write("new/place/dvc.yaml", "stages: {make: {cmd: touch made, outs: [made]}}\n")


def ignore_less(repository: Repository) -> None:
    repository.write("clean/.hidden", "x\n")
    repository.command("dvc", "repro", "--quiet")
    look(repository)
    repository.write(".dvcignore", "clean/.hidden\n")


IN_PLACE = "a byte, with the same size and time"
STALE = {
    IN_PLACE: change_in_place,
    "a parameter": lambda repository: repository.write("params.yaml", "join: some\n"),
    "a stage's command": lambda repository: repository.write(
        "dvc.yaml", repository.read("dvc.yaml").replace("report joined", "other joined")
    ),
    "what dvc.lock says": lambda repository: repository.path("dvc.lock").unlink(),
    "a new file in a folder": lambda repository: repository.write("clean/new.txt", "x\n"),
    "an output that is gone": lambda repository: repository.path("report/all.txt").unlink(),
    "an output behind a link": replace_by_link,
    "the cache": forget_in_the_cache,
    "a new pointer in a new folder": add_a_pointer,
    "a new dvc.yaml in a new folder": add_a_pipeline,
    "what .dvcignore leaves out": ignore_less,
}


@pytest.mark.parametrize("change", STALE)
def test_what_changes_is_seen(looked, change):
    STALE[change](looked)
    _, asked = look(looked)
    assert asked
    # DVC, for its part, takes a file of the same size and time for the same.
    assert ("up to date" in looked.command("dvc", "status")) is (change == IN_PLACE)


def test_what_does_not_count_asks_nobody(looked):
    looked.write("notes/new.md", "Not part of the pipeline.\n")
    looked.write("Snakefile", looked.read("Snakefile") + "# a comment\n")
    assert look(looked) == (True, False)


def through_a_link(repository: Repository) -> str:
    repository.write("store/in.txt", "x\n")
    repository.path("data").symlink_to("store")
    repository.write("dvc.yaml", "stages: {read: {cmd: 'true', deps: [data/in.txt]}}\n")
    return "store/in.txt"


def of_git(repository: Repository) -> str:
    repository.write("dvc.yaml", "stages: {read: {cmd: 'true', deps: [.git/HEAD]}}\n")
    return ".git/HEAD"


def left_out_by_dvcignore(repository: Repository) -> str:
    repository.write("left/out.txt", "x\n")
    repository.write(".dvcignore", repository.read(".dvcignore") + "/left\n")
    repository.write("dvc.yaml", "stages: {read: {cmd: 'true', deps: [left/out.txt]}}\n")
    return "left/out.txt"


def taken_by_a_stage_in_a_folder(repository: Repository) -> str:
    repository.write("sub/vars.yaml", "value: one\n")
    stage = "{wdir: sub, vars: [vars.yaml], cmd: 'true ${value}', deps: [vars.yaml]}"
    repository.write("dvc.yaml", f"stages: {{read: {stage}}}\n")
    return "sub/vars.yaml"


def taken_by_each_of_many(repository: Repository) -> str:
    repository.write("sub/vars.yaml", "value: one\n")
    stage = "{vars: [sub/vars.yaml], cmd: 'true ${value} ${item}', deps: [clean.py]}"
    repository.write("dvc.yaml", f"stages: {{read: {{foreach: [a, b], do: {stage}}}}}\n")
    return "sub/vars.yaml"


@pytest.mark.parametrize(
    "place", [through_a_link, of_git, left_out_by_dvcignore, taken_by_a_stage_in_a_folder, taken_by_each_of_many]
)
def test_what_lies_elsewhere_is_seen_or_asked_for_each_time(repository, place):
    path = place(repository)
    repository.write("Snakefile", repository.read("Snakefile").partition("onsuccess")[0] + ALONE)
    repository.path("dvc.lock").unlink()
    repository.command("dvc", "repro", "--quiet")
    for _ in range(2):
        assert look(repository)[0]
    before = repository.read(path)
    repository.write(path, before.replace("one", "two") + "# edited\n")
    assert "up to date" not in repository.command("dvc", "status")
    assert not look(repository)[0]
    repository.write(path, before)


@pytest.mark.parametrize("name", ["DVC_TEST", "DVC_NO_ANALYTICS"])
def test_dvcs_settings_in_the_environment_count(looked, name):
    answer = run("snakemake", "--dry-run", cwd=looked.folder, PYTHONPROFILEIMPORTTIME="1", **{name: "1"})
    assert "dvc.repo" in answer.stderr
