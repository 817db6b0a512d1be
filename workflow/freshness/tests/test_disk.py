"""The disk fills up, or the folder becomes read-only: one clear message, nothing is lost, and the next run finishes."""

import os

import pytest

from .commands import run
from .small_pipeline import BELOW_A, Repository

KIB = 1024
MEGABYTES = 12


@pytest.fixture
def small_disk(finished, tmp_path):
    """The small pipeline on a small disk of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", disk, cwd=tmp_path)
    try:
        yield Repository(finished.copy(disk / "repository").folder, tmp_path / "ran.log")
    finally:
        run("umount", "--lazy", disk, cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("free", [0, 24 * KIB, 200 * KIB])
def test_a_full_disk_loses_nothing(small_disk, tool, free):
    lock = small_disk.read("dvc.lock")
    small_disk.write("raw/a.csv", "q" * 50_000 + "\n")
    filler = small_disk.path("../filler")
    disk = os.statvfs(small_disk.folder)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_bsize - free)
    message = small_disk.command(
        *{"dvc": ("dvc", "repro"), "snakemake": ("snakemake", "--cores", "1")}[tool], fails=True
    )
    assert "No space left on device" in message or "disk is full" in message, message
    if tool == "snakemake":
        assert small_disk.read("dvc.lock").startswith(lock.partition("clean@a")[0])
    filler.unlink()
    small_disk.ran("snakemake")
    small_disk.check_outputs()
    small_disk.check_cache()
    assert small_disk.ran("dvc") == []


def test_a_read_only_folder_is_named(small_disk, tool):
    small_disk.write("raw/a.csv", "q\n")
    disk = small_disk.folder.parent
    run("mount", "-o", "remount,ro", disk, cwd=disk)
    message = small_disk.command(
        *{"dvc": ("dvc", "repro"), "snakemake": ("snakemake", "--cores", "1")}[tool], fails=True
    )
    assert "Read-only file system" in message, message
    run("mount", "-o", "remount,rw", disk, cwd=disk)
    assert small_disk.ran(tool) == BELOW_A
    small_disk.check_outputs()
