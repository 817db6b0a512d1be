"""What holds rows, models or the registry is closed to the other users of the machine, whatever writes it."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ROOT, run

from churn.base.private import FILES, FOLDERS, close_to_others
from churn.stack.variables import machine_variables

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture
def open_folder():
    """A folder that every user can reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def readable(folder: Path) -> set[str]:
    """Return the files that another user can open."""
    found = subprocess.run(
        [*NOBODY, "find", ".", "-type", "f", "-readable"], cwd=folder, capture_output=True, text=True, check=False
    )
    return {line.removeprefix("./") for line in found.stdout.splitlines()}


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user")
def test_another_user_can_open_code_and_documents_after_a_run_and_nothing_that_holds_rows(demo, open_folder):
    repository = shutil.copytree(demo, open_folder / "repository", symlinks=True)
    repository.chmod(0o755)
    tracked = set(run("git", "ls-files", cwd=repository).stdout.splitlines())
    # Written by DVC and git with the umask of the one who starts them, in folders that a command has closed.
    (repository / ".dvc/cache/files/stranger").write_text("a row")
    opened = {path for path in readable(repository) if not path.startswith(".git/")}
    assert "README.md" in opened and "scripts/train_model.py" in opened
    made = {path for path in opened - tracked if not path.startswith(("metrics/", "scripts/", "workflow/", "tests/"))}
    assert made <= {"dvc.lock"}
    for path in ("mlflow.db", "data/scores", ".dvc/cache", "logs", ".snakemake", "models"):
        assert (repository / path).exists()


def test_old_rights_are_taken_and_a_group_keeps_those_that_it_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    try:
        # Without DVC it is no repository, and its `data` is not ours to close.
        (tmp_path / "data").mkdir(mode=0o755)
        close_to_others()
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o755
        os.umask(0o022)
        for name in (*FOLDERS, "inbox", "metrics"):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (tmp_path / name).touch()
        for mask, folder, file in ("027", 0o750, 0o640), ("", 0o700, 0o600):
            monkeypatch.setenv("CHURN_UMASK", mask)
            close_to_others()
            assert {(tmp_path / name).stat().st_mode & 0o777 for name in FOLDERS} == {folder}
            (tmp_path / "new").write_text("")
            assert {(tmp_path / name).stat().st_mode & 0o777 for name in (*FILES, "new")} == {file}
            (tmp_path / "new").unlink()
        assert (tmp_path / "inbox").stat().st_mode & 0o777 == 0o755
        for wrong in "022", "o77", "0o77", "00077":
            monkeypatch.setenv("CHURN_UMASK", wrong)
            with pytest.raises(ValueError, match="CHURN_UMASK is"):
                close_to_others()
    finally:
        os.umask(before)


def test_a_new_clone_is_closed_before_dvc_writes_to_it(tmp_path):
    shutil.copytree(ROOT / ".dvc", tmp_path / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    (tmp_path / "data").mkdir(mode=0o755)
    install = (sys.executable, "-m", "churn.stack.site_cache")
    assert "python -m churn.stack.site_cache" in (ROOT / "Makefile").read_text()
    for line, mode in ("CHURN_UMASK=027", 0o750), ("", 0o700):
        (tmp_path / ".env").write_text(f"{line}\n")
        run(*install, cwd=tmp_path, PYTHONPATH=str(ROOT / "scripts"), PYTHON_DOTENV_DISABLED="0")
        modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("data", ".dvc/cache", ".dvc/tmp")}
        assert set(modes.values()) == {mode}


def test_a_service_leaves_the_group_what_its_owner_gives_it(tmp_path, monkeypatch):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o750)
    monkeypatch.setenv("CHURN_UMASK", "027")
    monkeypatch.setenv("JAVA_HOME", "/own/java")
    given = machine_variables() | {"PYTHON_DOTENV_DISABLED": "1"}
    command = [sys.executable, str(ROOT / "scripts"), "serve", "mlflow", "--check"]
    said = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, check=False).stderr
    assert "The stack has not been set up here" in said
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o750
    assert given["JAVA_HOME"] == "/own/java"
