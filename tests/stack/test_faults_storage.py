"""MinIO stops, is full, slow or refuses while DVC pushes or pulls: the message names it, and a retry succeeds."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, ROOT, free_port, run
from running_stack import FOUND, TIMEOUT_SECONDS, fails_soon
from slow_link import slow_link

from churn.stack.buckets import make_buckets
from churn.stack.checks import check_page
from churn.stack.settings import DVC_BUCKET

MEGABYTE = 1_000_000
FILES = 8
TOOLS = (sys.executable, ROOT / "scripts")


@pytest.fixture
def drops(stack, tmp_path):
    """A repository with some megabytes of unique data in DVC, and the project's remote."""
    repository = tmp_path / "drops"
    (repository / "data").mkdir(parents=True)
    for number in range(FILES):
        (repository / "data" / f"{number}.bin").write_bytes(os.urandom(MEGABYTE))
    run("git", "init", "--quiet", cwd=repository)
    run("dvc", "init", "--quiet", cwd=repository)
    shutil.copy(ROOT / ".dvc/config", repository / ".dvc/config")
    shutil.copy(stack.repository / ".env", repository / ".env")
    run("dvc", "add", "--quiet", "data", cwd=repository)
    return repository


def contents(repository: Path) -> dict[str, bytes]:
    """Return the content of each data file, by its key in the remote."""
    files = [path.read_bytes() for path in sorted((repository / "data").iterdir())]
    hashes = [hashlib.md5(content).hexdigest() for content in files]
    return {f"files/md5/{digest[:2]}/{digest[2:]}": content for digest, content in zip(hashes, files, strict=True)}


def start(repository: Path, direction: str, address: str) -> subprocess.Popen:
    return subprocess.Popen(
        [*TOOLS, direction],
        cwd=repository,
        env=ENVIRONMENT | FOUND | {"AWS_ENDPOINT_URL": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def sync(repository: Path, direction: str, fails: bool = False, **environment: str) -> str:
    answer = run(*TOOLS, direction, cwd=repository, fails=fails, **FOUND | environment)
    return answer.stdout + answer.stderr


def test_minio_stops_during_a_push(stack, drops):
    with slow_link(stack.variables["CHURN_MINIO_PORT"], 2 * MEGABYTE) as link:
        process = start(drops, "push", link.address)
        link.wait_for(3 * MEGABYTE)
        with stack.without("minio"):
            fails_soon(process, f"S3 at {link.address}")
    wanted = contents(drops)
    stored = stack.objects(DVC_BUCKET)
    assert all(stored[key] == content for key, content in wanted.items() if key in stored)
    sync(drops, "push")
    stored = stack.objects(DVC_BUCKET)
    assert {key: stored.get(key) for key in wanted} == wanted


def test_minio_stops_during_a_pull(stack, drops):
    wanted = contents(drops)
    sync(drops, "push")
    for path in "data", ".dvc/cache":
        shutil.rmtree(drops / path)
    with slow_link(stack.variables["CHURN_MINIO_PORT"], 2 * MEGABYTE) as link:
        process = start(drops, "pull", link.address)
        link.wait_for(3 * MEGABYTE)
        with stack.without("minio"):
            fails_soon(process, f"S3 at {link.address}")
    for path in (drops / ".dvc/cache/files/md5").glob("??/*"):
        if path.suffix != ".dir":
            assert hashlib.md5(path.read_bytes()).hexdigest() == path.parent.name + path.name
    sync(drops, "pull")
    assert contents(drops) == wanted


def test_push_over_a_slow_link_succeeds(stack, drops):
    with slow_link(stack.variables["CHURN_MINIO_PORT"], MEGABYTE / 2) as link:
        sync(drops, "push", AWS_ENDPOINT_URL=link.address)
    stored = stack.objects(DVC_BUCKET)
    assert {key: stored.get(key) for key in contents(drops)} == contents(drops)


def test_without_minio_or_with_a_wrong_login_one_line_says_so(stack, drops):
    address = stack.variables["AWS_ENDPOINT_URL"]
    for wrong in {"AWS_SECRET_ACCESS_KEY": "wrong"}, {"AWS_ACCESS_KEY_ID": "nobody"}:
        printed = sync(drops, "push", fails=True, **wrong)
        assert f"S3 at {address}" in printed and "AWS_SECRET_ACCESS_KEY" in printed
    began = time.monotonic()
    printed = sync(drops, "push", fails=True, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert "S3 at http://127.0.0.1:9" in printed and time.monotonic() - began < TIMEOUT_SECONDS
    printed = sync(drops, "pull", fails=True, AWS_ENDPOINT_URL="")
    assert "AWS_ENDPOINT_URL is not set" in printed and "make up" in printed


@pytest.fixture
def small_disk(tmp_path):
    """A disk with room for half of the data."""
    disk = tmp_path / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={FILES // 2 + 1}m", "tmpfs", disk, cwd=tmp_path)
    try:
        yield disk
    finally:
        run("umount", "--lazy", disk, cwd=tmp_path)


def test_the_disk_is_full_during_a_pull(stack, drops, small_disk):
    wanted = contents(drops)
    sync(drops, "push")
    copy = small_disk / "copy"
    shutil.copytree(drops, copy, ignore=shutil.ignore_patterns("data", "cache", "tmp"))
    printed = sync(copy, "pull", fails=True)
    assert "No space left on device" in printed or "disk is full" in printed, printed
    run("mount", "-o", f"remount,size={4 * FILES}m", small_disk, cwd=small_disk)
    sync(copy, "pull")
    assert contents(copy) == wanted


def test_the_disk_of_minio_is_full(stack, drops, small_disk):
    port, variables = free_port(), stack.variables
    address = f"http://127.0.0.1:{port}"
    login = {
        "MINIO_ROOT_USER": variables["AWS_ACCESS_KEY_ID"],
        "MINIO_ROOT_PASSWORD": variables["AWS_SECRET_ACCESS_KEY"],
    }
    environment = ENVIRONMENT | FOUND | login
    minio = subprocess.Popen(
        ["minio", "server", small_disk / "minio", "--address", f"127.0.0.1:{port}"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while check_page(f"{address}/minio/health/ready"):
            assert minio.poll() is None
            time.sleep(0.1)
        make_buckets([DVC_BUCKET], variables | {"AWS_ENDPOINT_URL": address})
        fails_soon(start(drops, "push", address), f"S3 at {address}")
        run("mount", "-o", f"remount,size={64 * FILES}m", small_disk, cwd=small_disk)
        sync(drops, "push", AWS_ENDPOINT_URL=address)
        for path in "data", ".dvc/cache":
            shutil.rmtree(drops / path)
        sync(drops, "pull", AWS_ENDPOINT_URL=address)
        assert len(contents(drops)) == FILES
    finally:
        minio.kill()
        minio.wait()
