"""What other repositories have that this one has not: each was once wrong."""

import json
from typing import ClassVar

import pytest
import yaml

from ..release_steps import _recorded
from .commands import PACKAGE, run
from .small_pipeline import Repository

pytestmark = pytest.mark.slow

COPY = """
import os, sys
from pathlib import Path
source, *outputs = sys.argv[1:]
with open(os.environ["RAN"], "a") as log:
    log.write(f"{outputs[0]}\\n")
for output in map(Path, outputs):
    if output.suffix:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(Path(source).read_text().lower())
    else:
        output.mkdir(exist_ok=True)
        (output / "listed").write_text(" ".join(sorted(os.listdir(output))))
"""


def stage(source: str, *outputs: str, **outs: dict) -> dict:
    made = [{out: outs["options"][out]} if out in outs.get("options", {}) else out for out in outputs]
    return {"cmd": f"python copy.py {source} {' '.join(outputs)}", "deps": [source, "copy.py"], "outs": made}


class AnyRepository(Repository):
    """A repository that knows nothing of Snakemake."""

    tools: ClassVar = {
        "dvc": ("dvc", "repro"),
        "snakemake": ("snakemake", "-s", str(PACKAGE / "dvc.smk"), "--cores", "2"),
    }

    def make(self, stages: dict, raw: str = "raw.csv") -> "AnyRepository":
        self.create({"dvc.yaml": yaml.safe_dump({"stages": stages}), "copy.py": COPY, raw: "ONE\n"}, track=(raw,))
        return self

    def ran(self, tool: str) -> list[str]:
        self.log.write_text("")
        self.printed = self.command(*self.tools[tool])
        assert self.command("dvc", "status").endswith("up to date.\n")
        return sorted(self.log.read_text().split())


@pytest.fixture
def repository(tmp_path):
    return AnyRepository(tmp_path / "repository")


def test_an_import_whose_source_changed_is_imported_again(repository, tmp_path):
    repository.make({"use": stage("imported.txt", "used.txt")})
    (tmp_path / "source.txt").write_text("ONE\n")
    repository.command("dvc", "import-url", "--quiet", str(tmp_path / "source.txt"), "imported.txt")
    pointer = repository.read("imported.txt.dvc").replace("frozen: true\n", "")
    repository.write("imported.txt.dvc", pointer)
    assert repository.ran("snakemake") == ["used.txt"]
    (tmp_path / "source.txt").write_text("TWO\n")
    assert repository.ran("snakemake") == ["used.txt"]
    assert (repository.read("imported.txt"), repository.read("used.txt")) == ("TWO\n", "two\n")
    # What is edited here stays, and the recorded source is still the source.
    repository.write("imported.txt", "EDITED\n")
    before = yaml.safe_load(repository.read("imported.txt.dvc"))["deps"]
    assert repository.ran("snakemake") == ["used.txt"]
    assert repository.read("used.txt") == "edited\n"
    assert yaml.safe_load(repository.read("imported.txt.dvc"))["deps"] == before


RELEASE = """
import sys
from importlib import import_module
sys.path.append({parent!r})
fresh = import_module("freshness").Freshness(workflow)
rule all:
    input: "released"
rule clean:
    input: fresh.stage("clean")
    output: "clean.txt"
    shell: "python {package} stage clean"
rule release:
    input: fresh.release("release", uses=["clean.txt"], makes=["released"], settings={{}})
    output: "released"
    shell: "python {package} release release sh -c 'cat clean.txt >> released'"
"""


def test_locks_by_hard_links(repository):
    repository.make({"clean": stage("raw.csv", "clean.txt")})
    # A lock of the other kind was left from before.
    assert repository.path(".dvc/tmp/lock").exists()
    repository.command("dvc", "config", "core.hardlink_lock", "true")
    repository.write("Snakefile", RELEASE.format(parent=str(PACKAGE.parent), package=PACKAGE))
    repository.command("snakemake", "--cores", "2")
    repository.write("raw.csv", "TWO\n")
    assert repository.ran("dvc") == ["clean.txt"]
    repository.command("snakemake", "--cores", "2")
    repository.write("raw.csv", "THREE\n")
    repository.command("snakemake", "--cores", "2")
    assert repository.read("released").split() == ["three"]
    assert repository.ran("dvc") == []
    assert not repository.path(".dvc/tmp/lock").exists()


def test_a_lock_with_the_files_of_a_cloud_versioned_remote(repository):
    """With such a remote, DVC records the files of a folder in place of one hash."""
    repository.make({"folder": stage("raw.csv", "folder"), "after": stage("raw.csv", "after.txt")})
    repository.ran("snakemake")
    lock = yaml.safe_load(repository.read("dvc.lock"))
    (out,) = lock["stages"]["folder"]["outs"]
    listed = json.loads(repository.read(f".dvc/cache/files/md5/{out['md5'][:2]}/{out['md5'][2:]}"))
    whole = out.pop("md5")
    out["files"] = [{**file, "size": repository.path(f"folder/{file['relpath']}").stat().st_size} for file in listed]
    repository.write("dvc.lock", yaml.safe_dump(lock, sort_keys=False))
    assert _recorded(out) == whole
    assert repository.ran("snakemake") == []
    release = RELEASE.replace('uses=["clean.txt"]', 'uses=["folder"]').replace("cat clean.txt", "ls folder")
    release = (
        release.replace('"clean"', '"folder"')
        .replace('"clean.txt"', 'directory("folder")')
        .replace("stage clean", "stage folder")
    )
    repository.write("Snakefile", release.format(parent=str(PACKAGE.parent), package=PACKAGE))
    repository.command("snakemake", "--cores", "2")
    assert "Nothing to be done" in repository.command("snakemake", "--cores", "2")
    repository.write("raw.csv", "TWO\n")
    assert repository.ran("snakemake") == ["after.txt", "folder"]


def test_a_dataset_whose_revision_changed_is_named(repository, tmp_path):
    source = Repository(tmp_path / "source")
    source.create({"data.txt": "one\n"}, track=("data.txt",))
    source.commit("One")
    repository.make({"clean": {**stage("raw.csv", "clean.txt"), "deps": ["raw.csv", "ds://words"]}})
    repository.command("dvc", "ds", "add", "--dvc", str(source.folder), "--path", "data.txt", "words")
    assert repository.ran("snakemake") == ["clean.txt"]
    then = source.command("git", "rev-parse", "HEAD").strip()
    source.write("data.txt", "two\n")
    source.command("dvc", "add", "--quiet", "data.txt")
    source.commit("Two")
    now = source.command("git", "rev-parse", "HEAD").strip()
    repository.command("dvc", "ds", "update", "words")
    printed = repository.command(*repository.tools["snakemake"], "--dry-run")
    assert f"ds://words.rev_lock: '{then}' -> '{now}'" in printed
    assert repository.ran("snakemake") == ["clean.txt"]


@pytest.mark.parametrize("options", [{"cache": False}, {"persist": True}])
def test_no_output_is_deleted_before_dvc_has_decided(repository, options):
    """With a cached output and one that Snakemake leaves, an equal input must not cost a run."""
    both = stage("lower.txt", "cached.txt", "kept.json", options={"kept.json": options})
    repository.make({"lower": stage("raw.csv", "lower.txt"), "both": both})
    assert repository.ran("snakemake") == ["cached.txt", "lower.txt"]
    repository.write("raw.csv", "one\n")
    assert repository.ran("snakemake") == ["lower.txt"]
    # Rules of your own, whose outputs are the real files, which Snakemake deletes.
    rules = RELEASE.partition("rule all")[0] + (
        'rule both:\n    input: fresh.stage("both")\n    output: "cached.txt", update("kept.json")\n'
        '    shell: "python {package} stage both"\n'
        'rule lower:\n    input: fresh.stage("lower")\n    output: "lower.txt"\n'
        '    shell: "python {package} stage lower"\n'
    )
    rules += 'rule track:\n    input: fresh.stage("raw.csv.dvc")\n    output: update("raw.csv.dvc")\n'
    rules += '    shell: "python {package} stage raw.csv.dvc"\n'
    repository.write("Snakefile", rules.format(parent=str(PACKAGE.parent), package=PACKAGE))
    repository.write("raw.csv", "One\n")
    repository.log.write_text("")
    repository.command("snakemake", "--cores", "2")
    assert repository.log.read_text().split() == ["lower.txt"]


def test_what_no_target_needs_may_be_missing(repository):
    repository.make({"clean": stage("raw.csv", "clean.txt"), "other": stage("other.csv", "other.txt")})
    repository.write("other.csv", "OTHER\n")
    repository.command("dvc", "add", "--quiet", "other.csv")
    repository.path("other.csv").unlink()
    repository.command(*repository.tools["snakemake"], "clean")
    assert repository.read("clean.txt") == "one\n"
    said = repository.command(*repository.tools["snakemake"], fails=True)
    assert "DVC tracks other.csv, but it is not here" in said
    assert "Get it: dvc checkout other.csv.dvc" in said
    repository.command("dvc", "checkout", "other.csv.dvc")
    assert repository.ran("snakemake") == ["other.txt"]


def test_a_stage_named_like_a_pointer_is_a_stage(repository):
    each = {"foreach": ["r.csv.dvc"], "do": stage("raw.csv", "made/${item}.txt")}
    repository.make({"each": each})
    assert repository.ran("snakemake") == ["made/r.csv.dvc.txt"]
    assert "Nothing to be done" in repository.command(*repository.tools["snakemake"])


def test_a_command_that_lists_its_folder_sees_no_mark(repository):
    repository.make(
        {"folder": stage("raw.csv", "folder"), "grow": stage("raw.csv", "grown", options={"grown": {"persist": True}})}
    )
    assert repository.ran("snakemake") == ["folder", "grown"]
    repository.write("raw.csv", "TWO\n")
    assert repository.ran("snakemake") == ["folder", "grown"]
    assert repository.read("grown/listed") == "listed"
    for folder in "folder", "grown":
        assert [path.name for path in repository.path(folder).iterdir()] == ["listed"]


def test_a_long_chain(repository):
    names = [f"n{number}.txt" for number in range(900)]
    repository.make(
        {
            f"s{number}": stage(before, name)
            for number, (before, name) in enumerate(zip(["raw.csv", *names], names, strict=False))
        }
    )
    printed = repository.command(*repository.tools["snakemake"], "--dry-run")
    assert "s899\n    never run\n    reads what s898 will make" in printed


def test_conflict_markers_are_named_and_never_overwritten(repository):
    repository.make({"clean": stage("raw.csv", "clean.txt")})
    repository.ran("snakemake")
    repository.commit("Ran")
    for branch, text in ("one", "TWO\n"), ("two", "THREE\n"):
        repository.command("git", "checkout", "--quiet", "-b", branch, "main" if branch == "two" else "HEAD")
        repository.write("raw.csv", text)
        repository.ran("snakemake")
        repository.commit(branch)
    assert "CONFLICT" in repository.command("git", "merge", "one", fails=True)
    conflicted = repository.read("dvc.lock")
    assert "<<<<<<<" in conflicted
    said = repository.command(*repository.tools["snakemake"], fails=True)
    assert "raw.csv.dvc holds the conflict markers of a merge. Keep what is right" in said
    repository.command("git", "checkout", "--quiet", "--ours", "raw.csv.dvc")
    said = repository.command(*repository.tools["snakemake"], fails=True)
    assert "dvc.lock holds the conflict markers of a merge. Merge it by stage: " in said
    assert repository.read("dvc.lock") == conflicted
    advice = said.partition("Merge it by stage: ")[2].splitlines()[0]
    run("sh", "-c", advice, cwd=repository.folder)
    assert "<<<<<<<" not in repository.read("dvc.lock")
    repository.command("dvc", "checkout")
    assert repository.ran("snakemake") == []
