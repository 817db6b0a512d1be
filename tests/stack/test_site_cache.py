"""DVC's records of a repository, which contain pickles, are inside it and not where every user can write."""

import sys
from pathlib import Path

import pytest
from conftest import ROOT, run

# What DVC does when nothing tells it otherwise.
WORLD_WRITABLE = Path("/var/tmp/dvc/repo")
ASK = "from dvc.repo import Repo\nprint(Repo().site_cache_dir)"
SETTING = (sys.executable, "-m", "churn.stack.site_cache")


def used(repository: Path, *command: str) -> Path:
    """Return the folder of records that DVC uses in a repository; it was not made where all can write."""
    folder = Path(run(*(command or (sys.executable, "-c", ASK)), cwd=repository).stdout.splitlines()[-1])
    if folder.is_relative_to(repository):
        assert folder.is_dir() and not (WORLD_WRITABLE / folder.name).exists()
    return folder


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "años, o'brien"
    folder.mkdir()
    # DVC makes and removes its records at `dvc init`, before there can be a setting.
    run("git", "init", "--quiet", cwd=folder)
    run("dvc", "init", "--quiet", cwd=folder, DVC_SITE_CACHE_DIR=str(tmp_path / "first"))
    return folder


def test_dvc_started_by_hand_after_make_install_uses_the_repository(repository, tmp_path):
    local = repository / ".dvc/config.local"
    run(*SETTING, cwd=repository, PYTHONPATH=str(ROOT / "scripts"))
    run("dvc", "status", cwd=repository)
    assert used(repository).is_relative_to(repository / ".dvc/tmp/site")
    assert local.stat().st_mode & 0o777 == 0o600
    # make install does this only if the line that the Makefile looks for is not there.
    (line,) = (line for line in (ROOT / "Makefile").read_text().splitlines() if ".dvc/config.local" in line)
    assert line.split('"')[1].replace("$$PWD", str(repository)) in local.read_text()
    moved = repository.rename(tmp_path / "moved")
    run(*SETTING, cwd=moved, PYTHONPATH=str(ROOT / "scripts"))
    assert used(moved).is_relative_to(moved / ".dvc/tmp/site")
    own = str(tmp_path / "own")
    run("dvc", "config", "--local", "core.site_cache_dir", own, cwd=moved)
    run(*SETTING, cwd=moved, PYTHONPATH=str(ROOT / "scripts"))
    assert used(moved).is_relative_to(own)


def test_a_command_of_the_project_uses_it_without_any_setting(repository, tmp_path):
    odd = repository.rename(tmp_path / "a #b, 'c'")
    asked = f"from churn.base.command import run_command\ndef main():\n exec({ASK!r}, {{}})\nrun_command(main)"
    command = f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r})\n{asked}"
    assert used(odd, sys.executable, "-c", command).is_relative_to(odd / ".dvc/tmp/site")
    run(*SETTING, cwd=odd, PYTHONPATH=str(ROOT / "scripts"))
    assert used(odd).is_relative_to(odd / ".dvc/tmp/site")


def test_a_run_of_snakemake_uses_it(demo):
    assert [*(demo / ".dvc/tmp/site/repo").iterdir()]
