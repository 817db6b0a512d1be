"""An object that somebody changed in the bucket is refused by everything that pulls, and sent again by make push."""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from conftest import ROOT, run
from running_stack import FOUND

from churn.stack.remote_contents import key_of
from churn.stack.settings import DVC_BUCKET

STAGES = """\
stages:
  copy:
    cmd: mkdir -p folder && tac raw.bin > single.bin && cp raw.bin folder/first && echo 2 > folder/second
    deps: [raw.bin]
    outs: [folder, single.bin]
"""


@pytest.fixture
def repository(stack, tmp_path):
    """A committed repository with a pointer, a file and a folder in DVC, all of which are on the remote."""
    folder = tmp_path / "original"
    folder.mkdir()
    (folder / "raw.bin").write_bytes(os.urandom(1000))
    (folder / "dvc.yaml").write_text(STAGES)
    run("git", "init", "--quiet", cwd=folder)
    run("dvc", "init", "--quiet", cwd=folder)
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    shutil.copy(stack.repository / ".env", folder / ".env")
    (folder / ".git" / "info" / "exclude").write_text(".env\n")
    run("dvc", "add", "--quiet", "raw.bin", cwd=folder)
    run("dvc", "repro", "--quiet", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "All of it", cwd=folder)
    tool(folder, "push")
    return folder


def tool(folder: Path, name: str, *arguments: str, fails: bool = False) -> str:
    answer = run(sys.executable, ROOT / "scripts", name, *arguments, cwd=folder, fails=fails, **FOUND)
    return answer.stdout + answer.stderr


def clone(original: Path, name: str) -> Path:
    target = original.with_name(name)
    run("git", "clone", "--quiet", original, target, cwd=original.parent)
    shutil.copy(original / ".env", target / ".env")
    return target


def wrong(folder: Path) -> list[Path]:
    """Return the objects of a clone's cache that have another content than their names say."""
    found = [path for path in (folder / ".dvc/cache/files/md5").rglob("*") if path.is_file()]
    named = {path: (path.parent.name + path.name).removesuffix(".dir") for path in found}
    return [path for path, digest in named.items() if hashlib.md5(path.read_bytes()).hexdigest() != digest]


def test_a_changed_object_is_refused_and_push_repairs_it(stack, repository):
    cache, s3 = repository / ".dvc/cache", stack.s3()
    # Snakemake gives them to the steps; by itself, this part of it reads no `.env`.
    login = {name: value for name, value in stack.variables.items() if name.startswith("AWS_")}
    outs = {}
    for name in "single.bin", "folder/second":
        digest = hashlib.md5((repository / name).read_bytes()).hexdigest()
        outs[name] = key_of(digest)
    (listed,) = (f"files/md5/{path.parent.name}/{path.name}" for path in cache.rglob("*.dir"))
    other = [file | {"relpath": "planted"} for file in json.loads((cache / listed).read_text())]
    changed = {
        "single.bin": (outs["single.bin"], b"other bytes"),
        "folder/second": (outs["folder/second"], b"other bytes"),
        "folder": (listed, json.dumps(other).encode()),
    }
    for number, (name, (key, content)) in enumerate(changed.items()):
        s3.put_object(Bucket=DVC_BUCKET, Key=key, Body=content)
        copy = clone(repository, f"clone {number}")
        said = tool(copy, "pull", fails=True).splitlines()[-1]
        assert said.startswith("ERROR: The remote has another content of ") and name in said, said
        assert key in said and "make push in a clone that has it" in said
        assert wrong(copy) == [] and not (copy / name).exists() and not [*copy.rglob("planted")]
        # What only reads a part, as CHURN_PULL=1 does, refuses it too.
        part = ("python", "-m", "workflow.freshness", "pull", name.partition("/")[0])
        said = run(*part, cwd=copy, fails=True, PYTHONPATH=str(ROOT), **FOUND, **login).stderr
        assert "has another content than DVC recorded" in said
        assert wrong(copy) == [] and not (copy / name).exists()
        assert f"{name.partition('/')[0]}" in tool(copy, "push", fails=True), "it has nothing good to send"
        assert "The remote holds all" in tool(repository, "push")
        tool(copy, "pull")
        assert (copy / name).exists() and wrong(copy) == []
        assert "up to date" in run("dvc", "status", cwd=copy).stdout


def test_the_run_cache_of_the_bucket_is_not_pulled(stack, repository):
    """An entry of it says which results a stage has, and where they go: nothing in git vouches for it."""
    entries = {path.relative_to(repository / ".dvc/cache").as_posix() for path in known(repository)}
    assert entries
    stack.s3().put_object(Bucket=DVC_BUCKET, Key=f"runs/ab/{'ab' * 32}/{'cd' * 32}", Body=b"cmd: planted\nouts: []\n")
    copy = clone(repository, "clone")
    tool(copy, "pull")
    # What dvc.lock says is known without the bucket, so undoing a change runs nothing again.
    assert {path.relative_to(copy / ".dvc/cache").as_posix() for path in known(copy)} == entries


def known(folder: Path) -> list[Path]:
    return [path for path in (folder / ".dvc/cache/runs").rglob("*") if path.is_file()]
