"""Stages and release steps that depend on folders: what counts, and which files `why` names."""

import re
import shutil

import pytest

from ..folders import changed_files, list_folder
from .small_pipeline import FILES, PROFILE, Repository

DVC_YAML = """
stages:
  build:
    cmd: python code/build.py raw.txt made
    deps: [code, raw.txt]
    outs: [made]
"""
BUILD = """
import os, sys
from pathlib import Path
from helper import shout
with open(os.environ["RAN"], "a") as log:
    log.write("made\\n")
source, output = map(Path, sys.argv[1:])
output.mkdir(exist_ok=True)
(output / "loud.txt").write_text(shout(source.read_text()))
(output / "same.txt").write_text("same")
"""
HELPER = """
def shout(text):
    return text.upper()
"""
SNAKEFILE = """
import os, sys
sys.path.append(workflow.basedir)
from workflow.freshness import Freshness
fresh = Freshness(workflow)
rule publish:
    input:
        fresh.release(
            "publish",
            uses=["made", "code", "no.txt"],
            makes=["published.txt"],
            settings={"SERVER": os.environ.get("SERVER", "")},
        )
    output: "published.txt"
    shell: "python -m workflow.freshness release publish python code/publish.py {output}"
rule build:
    input: fresh.stage("build")
    output: directory("made")
    shell: "python -m workflow.freshness stage build"
"""
PUBLISH = """
import os, sys
from pathlib import Path
with open(os.environ["RAN"], "a") as log:
    log.write("published\\n")
Path(sys.argv[1]).write_text(Path("made/loud.txt").read_text())
"""
IGNORED = "/made\n/published.txt\n/.snakemake\n__pycache__/\n.writing-*\n"
HASH = "[0-9a-f]{8}"
# What `edit_code` does to the folder `code`.
CHANGED_FILES = {
    f"code/helper.py: {HASH} -> {HASH}",
    f"code/parts/new.py: added, {HASH}",
    f"code/unused.py: removed, was {HASH}",
}


def edit_code(repository: Repository) -> None:
    """Modify one file, add one and remove one; the outcome stays the same."""
    repository.write("code/helper.py", HELPER + "\n# loud\n")
    repository.write("code/parts/new.py", "")
    repository.path("code/unused.py").unlink()


def why(repository: Repository) -> dict[str, list[str]]:
    """Return the stale steps and their reasons."""
    repository.command("snakemake", "--dry-run")
    printed = repository.command("python", "-m", "workflow.freshness", "why")
    blocks = re.findall(r"^(\w+)\n((?:    .*\n)+)", printed, re.MULTILINE)
    return {name: [line.strip() for line in lines.splitlines()] for name, lines in blocks}


def check_lines(lines: list[str], patterns: set[str]) -> None:
    """Check that each line has one of the patterns, and each pattern a line."""
    assert len(lines) == len(patterns), lines
    assert all(any(re.fullmatch(pattern, line) for line in lines) for pattern in patterns), lines


@pytest.fixture
def folders(tmp_path):
    """A repository whose stage and release step depend on folders; everything has run and is committed."""
    repository = Repository(tmp_path / "folders")
    files = {
        "dvc.yaml": DVC_YAML,
        "Snakefile": SNAKEFILE,
        "profiles/default/config.yaml": PROFILE,
        "code/build.py": BUILD,
        "code/publish.py": PUBLISH,
        "code/helper.py": HELPER,
        "code/unused.py": "",
        "raw.txt": "a\n",
        ".gitignore": IGNORED,
        ".dvcignore": FILES[".dvcignore"],
    }
    repository.create(files, track=())
    assert repository.ran("snakemake") == ["made", "published"]
    repository.commit("Everything has run")
    return repository


def test_the_changed_files_are_named(folders):
    assert folders.path("code/__pycache__").is_dir(), "compiled code does not count"
    folders.write("code/.writing-parts-1/part", "left by a killed process")
    assert why(folders) == {}
    edit_code(folders)
    stale = why(folders)
    check_lines(stale["build"], CHANGED_FILES)
    check_lines(stale["publish"], {*CHANGED_FILES, "reads what build will make"})
    folders.command("dvc", "repro")
    assert list(why(folders)) == ["publish"], "folders count the same for both"
    check_lines(why(folders)["publish"], CHANGED_FILES)
    assert folders.ran("snakemake") == ["published"]
    # `dvc repro` records the hash of a folder that Snakemake has not seen yet.
    folders.write("raw.txt", "b\n")
    folders.command("dvc", "repro")
    check_lines(why(folders)["publish"], {f"made/loud.txt: {HASH} -> {HASH}"})
    assert folders.ran("snakemake") == ["published"]
    folders.path("raw.txt").touch()
    assert why(folders) == {}, "a look at what has changed removes listings that nothing names"
    kept = {path.name for path in folders.path(".snakemake/freshness/listings").iterdir()}
    named = set(re.findall(r"[0-9a-f]{32}\.dir", folders.read("dvc.lock")))
    assert kept == named and len(kept) == 2


def test_a_fresh_clone_names_them_too(folders, tmp_path):
    clone = folders.clone(tmp_path / "clone")
    edit_code(clone)
    clone.commit("The edit is committed before anything runs")
    check_lines(why(clone)["build"], {*CHANGED_FILES, "made: not in cache"})
    # Without the commit that knew the old files, only the hashes are left to print.
    shutil.rmtree(clone.path(".snakemake"))
    clone.command("git", "checkout", "--quiet", "--orphan", "young")
    clone.commit("No history")
    check_lines(why(clone)["build"], {f"code: {HASH} -> {HASH}", "made: not in cache"})
    assert clone.ran("snakemake") == ["made", "published"]
    assert why(clone) == {}


def test_a_setting_of_a_release_step_is_named(folders):
    snakefile = folders.read("Snakefile").replace('os.environ.get("SERVER", "")', '"elsewhere"')
    folders.write("Snakefile", snakefile)
    assert why(folders) == {"publish": ["SERVER: '' -> 'elsewhere'"]}
    folders.write("no.txt", "now there is one")
    check_lines(why(folders)["publish"], {"SERVER: '' -> 'elsewhere'", f"no.txt: missing -> {HASH}"})
    message = folders.command("python", "-m", "workflow.freshness", "release", "publishing", "true", fails=True)
    assert "unknown release step 'publishing'" in message


def test_a_file_in_a_folder_of_outputs_is_named(repository):
    """The hash of `clean` in dvc.lock covers what two stages made; there is no listing of it in DVC's cache."""
    shutil.rmtree(repository.path(".snakemake"))
    repository.write("clean/extra.txt", "extra")
    assert why(repository) == {
        "join": ["clean/extra.txt: added, ea9f91b2"],
        "report": ["reads what join will make"],
    }


def test_ten_files_are_named_and_the_others_counted():
    now = {f"{number:02}.py": "0123456789" for number in range(13)}
    lines = changed_files("code", {}, now)
    assert lines == [f"code/{number:02}.py: added, 01234567" for number in range(10)] + ["code: and 3 more"]
    assert changed_files("code", now, now) == []


def test_a_folder_is_listed_without_what_is_ignored_or_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "code/a.py", "code/b/c.py", "code/b/__pycache__/c.pyc", "code/made/big.bin", "code/.writing-x/part":
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".dvcignore").write_text(".writing-*\n")
    empty = "d41d8cd98f00b204e9800998ecf8427e"
    assert list_folder("code", {"code/made": "1.dir"}) == {"a.py": empty, "b/c.py": empty, "made": "1.dir"}
