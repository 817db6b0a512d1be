"""Files are written whole or not at all; what a killed process leaves is removed by the next write."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, ROOT

from churn.base.drops import write_list
from churn.base.files import remove_scratch, scratch_folder, write_json, write_whole
from churn.deliveries.aside import move
from churn.stack.private_files import write_private

SLEEPER = """
import sys, time
from pathlib import Path
from churn.base.files import write_whole
with write_whole(Path(sys.argv[1])) as new:
    new.write_text("half")
    print(new.parent, flush=True)
    time.sleep(60)
"""


@contextmanager
def start_writing(target):
    """Start a process that writes until it is killed; give it, and its scratch folder."""
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT / "scripts")}
    command = [sys.executable, "-c", SLEEPER, target]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as writer:
        try:
            yield writer, Path(writer.stdout.readline().strip())
        finally:
            writer.kill()


def test_a_block_that_raises_leaves_the_older_file_and_nothing_else(tmp_path):
    target = tmp_path / "table"
    target.write_text("older")
    with pytest.raises(ValueError, match="stop"), write_whole(target) as new:
        new.write_text("newer")
        raise ValueError("stop")
    assert target.read_text() == "older" and list(tmp_path.iterdir()) == [target]


def test_the_next_write_removes_the_folder_of_a_killed_writer_and_not_that_of_a_living_one(tmp_path):
    target = tmp_path / "[a] table"
    with start_writing(target) as (dead, left), start_writing(target) as (_, used):
        os.kill(dead.pid, signal.SIGKILL)
        dead.wait()
        assert left.exists()
        with write_whole(target) as new:
            new.write_text("whole")
        assert target.read_text() == "whole" and not left.exists() and used.exists()
    remove_scratch(target)
    assert list(tmp_path.iterdir()) == [target]


def test_targets_with_similar_names_do_not_share_their_folders(tmp_path):
    with scratch_folder(tmp_path / "user_base.parquet") as one, scratch_folder(tmp_path / "user_base") as other:
        assert one != other
        remove_scratch(tmp_path / "user_base")
        assert one.exists() and other.exists()


def test_a_target_inside_a_scratch_folder_is_written_whole_too(tmp_path):
    with scratch_folder(tmp_path / "outer") as folder:
        with write_whole(folder / "inner") as new:
            new.write_text("whole")
        assert (folder / "inner").read_text() == "whole"
    assert list(tmp_path.iterdir()) == []


def test_what_must_not_be_lost_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    calls, fsync, replace = [], os.fsync, Path.replace

    def record_fsync(descriptor):
        calls.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink()).replace(str(tmp_path), "")))
        fsync(descriptor)

    def record_replace(path, target):
        calls.append(("replace", str(target).replace(str(tmp_path), "")))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "replace", record_replace)
    with write_whole(tmp_path / "drop", durable=True) as new:
        new.mkdir()
        (new / "a.csv").write_text("row")
    scratch = calls[0][1].removesuffix("/a.csv")
    assert calls == [("fsync", f"{scratch}/a.csv"), ("fsync", scratch), ("replace", "/drop"), ("fsync", "")]
    calls.clear()
    write_json({"version": 3}, tmp_path / "receipt.json", durable=True)
    assert [call for call, _ in calls] == ["fsync", "replace", "fsync"] and calls[-1][1] == ""
    calls.clear()
    write_private(tmp_path / ".env", "NAME=value\n")
    move(tmp_path / "drop", tmp_path / ".done")
    write_list(tmp_path / "drops.yaml", "own", [date(2026, 3, 1)])
    assert [path for call, path in calls if call == "fsync" and ".writing" not in path] == ["", "/.done", "", ""]
    calls.clear()
    write_json({}, tmp_path / "metrics.json")
    assert [call for call, _ in calls] == ["replace"]
