"""dvc.lock by blocks: the text that DVC itself would write, in the order of dvc.yaml, whichever stage ended first."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import dumps_yaml

from ..lock_blocks import read_blocks, write_block
from .small_pipeline import JOINED, Repository

# DVC's records of two stages share no object; where they do, YAML would write references.
ENTRY = {"cmd": "python a.py", "deps": [{"path": "a", "hash": "md5", "md5": "0" * 32, "size": 1}]}
# Names as foreach and matrix make them, and values that span lines or need quotes.
ENTRIES = {
    "plain": ENTRY,
    "copy@2026-01-04": ENTRY,
    "1": ENTRY,
    "true": ENTRY,
    "copy@it's": ENTRY,
    "copy@a: b": ENTRY,
    "train@model0-data-x": ENTRY,
    "ü@{}": ENTRY,
    "lines": {"cmd": "first\n\n  second\nthird\n", "params": {"params.yaml": {"a": [1, {"b": None}], "c": "x: y #"}}},
    "list": {"cmd": ["one", "two: three"], "outs": [{"path": "o" * 200, "md5": "1" * 32 + ".dir", "nfiles": 3}]},
}


def whole(stages: dict, **more: object) -> str:
    """Return the text that DVC writes for a whole dvc.lock."""
    return dumps_yaml(json.loads(json.dumps({"schema": "2.0", "stages": stages, **more})))


@pytest.fixture
def lock(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path(".snakemake/freshness").mkdir(parents=True)
    return Path("dvc.lock")


def test_the_text_is_dvcs_own_whichever_stage_ended_first(lock):
    order = list(ENTRIES)
    for name in reversed(order):
        assert write_block(lock, name, ENTRIES[name], order) is True
    assert lock.read_text() == whole(ENTRIES)
    assert write_block(lock, "1", ENTRY, order) is False, "the same again"


def test_only_the_block_of_the_stage_is_replaced(lock):
    datasets = [{"name": "d", "type": "url"}]
    lock.write_text(whole({"gone": ENTRY, "b": ENTRY, "a": ENTRY}, datasets=datasets))
    write_block(lock, "a", {"cmd": "new"}, ["a", "b"])
    # What dvc.yaml does not name comes last.
    assert lock.read_text() == whole({"a": {"cmd": "new"}, "b": ENTRY, "gone": ENTRY}, datasets=datasets)


def test_one_value_in_two_places_is_written_twice(lock):
    """YAML can refer from one stage to a value of another; then no stage's lines are complete."""
    value = [1, 2]
    for name in "a", "b":
        write_block(lock, name, {"params": {"params.yaml": {"one": value, "two": value}}}, ["a", "b"])
    entry = {"params": {"params.yaml": {"one": [1, 2], "two": [1, 2]}}}
    assert yaml.safe_load(lock.read_text())["stages"] == {"a": entry, "b": entry}


OTHER_LAYOUTS = {
    "in one line": "stages: {}\nschema: '2.0'\n",
    "a long name": "schema: '2.0'\nstages:\n  ? long\n  : {}\n",
    "no stages": "{}",
    "not of DVC": "a\n",
    "a comment": "schema: '2.0'\nstages:\n  a:\n    cmd: x\n# Mine.\n  b:\n    cmd: y\n",
    "a reference": "schema: '2.0'\nstages:\n  a: &id001\n    cmd: x\n  b: *id001\n",
}


@pytest.mark.parametrize("text", OTHER_LAYOUTS.values(), ids=OTHER_LAYOUTS)
def test_another_layout_is_left_to_dvc(lock, text):
    lock.write_text(text)
    assert read_blocks(lock) is None
    assert write_block(lock, "a", ENTRY, ["a"]) is None
    assert lock.read_text() == text


def test_dvc_reads_and_keeps_what_a_run_has_written(finished, tmp_path):
    written = []
    for cores in "1", "2":
        repository = Repository(tmp_path / cores / "repository")
        shutil.copytree(finished.folder, repository.folder, symlinks=True)
        repository.path("dvc.lock").unlink()
        shutil.rmtree(repository.path(".dvc/cache/runs"))
        repository.command("snakemake", "--cores", cores)
        written.append(repository.read("dvc.lock"))
    assert written[0] == written[1]
    assert list(yaml.safe_load(written[0])["stages"]) == ["clean@a", "clean@b", "join", "report"]
    assert "up to date" in repository.command("dvc", "status")
    repository.write("params.yaml", "join: some\n")
    assert repository.ran("dvc") == JOINED
    after = repository.read("dvc.lock")
    assert read_blocks(repository.path("dvc.lock")).whole([]) == after
    assert [line for line in after.splitlines() if "clean@" in line] == [
        line for line in written[0].splitlines() if "clean@" in line
    ]
