import ast
import contextlib
import http.server
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, ROOT, run
from locks import pins

# Many files in one package: long enough to be killed while it is written.
BIG, SMALL, EXTRA = "plotly", "zipp", "iniconfig"


def pin(name: str, lock: str = "requirements.lock") -> str:
    """Return what a lock of this project says of one package."""
    return next(text for line, text in pins(ROOT / lock).items() if re.match(rf"{name}==", line))


def write_project(folder: Path) -> Path:
    """Copy the installer and the Makefile, with locks of few packages, to a folder with an awkward name."""
    folder = folder / "días de año" / "o'brien"
    (folder / "scripts" / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(ROOT / "scripts" / "tools" / "install.py", folder / "scripts" / "tools")
    (folder / "requirements.lock").write_text(pin(SMALL) + pin("tqdm"))
    (folder / "requirements-test.lock").write_text(pin(EXTRA, "requirements-test.lock"))
    return folder


@pytest.fixture
def project(tmp_path):
    """A project in which nothing is installed."""
    return write_project(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project after make install, for tests that only read it."""
    folder = write_project(tmp_path_factory.mktemp("finished"))
    make(folder, "install")
    return folder


@pytest.fixture
def installed(finished, tmp_path):
    """A copy of it, for tests that change it: making an environment takes seconds."""
    return Path(shutil.copytree(finished, tmp_path / "días de año" / "o'brien", symlinks=True))


def add(folder: Path, *names: str, lock: str = "requirements.lock") -> None:
    """Add packages to a lock of a project."""
    with (folder / lock).open("a") as file:
        file.writelines(pin(name, lock) for name in names)


def make(folder: Path, *arguments: str, fails: bool = False, **environment: str) -> str:
    """Run make; return all that it printed."""
    answer = run("make", "--no-print-directory", *arguments, cwd=folder, fails=fails, **environment)
    return answer.stdout + answer.stderr


def packages(folder: Path) -> set[str]:
    """Return the packages in .venv, after a check that each has every one of its files."""
    inside = (
        "from importlib.metadata import distributions\n"
        "for package in distributions():\n"
        "    print(package.name, all(path.locate().exists() for path in package.files))\n"
    )
    lines = run(folder / ".venv/bin/python", "-c", inside, cwd=folder).stdout.splitlines()
    broken = [line for line in lines if not line.endswith(" True")]
    assert not broken
    return {line.split()[0] for line in lines}


def count_files(folder: Path) -> int:
    """Return how many files a folder holds, subfolders included; 0 if it does not exist."""
    return sum(path.is_file() for path in folder.rglob("*"))


def kill_when(folder: Path, is_time, *arguments: str) -> None:
    """Run make and kill it, with all that it started, as soon as `is_time` returns true."""
    command = ["make", *arguments]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, start_new_session=True, **quiet)
    while process.poll() is None and not is_time():
        time.sleep(0.001)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"


def test_commands_start_in_a_folder_with_blanks_accents_and_a_quote(finished):
    assert {SMALL, "tqdm", "pip"} <= packages(finished)
    assert run(finished / ".venv/bin/tqdm", "--version", cwd=finished).stdout.strip() in pin("tqdm")


def test_when_nothing_changed_no_python_is_started(installed):
    make(installed, "install-test")
    assert make(installed, "install", "install-test", PYTHON="false") == ""


@pytest.mark.parametrize("change", ["rm .venv/bin/python", "touch .venv/installing", "echo >> requirements.lock"])
def test_what_changed_is_installed(installed, change):
    run("sh", "-c", change, cwd=installed)
    make(installed, "install")
    assert SMALL in packages(installed)
    assert make(installed, "install", PYTHON="false") == ""


def test_an_extra_stays_and_is_brought_up_to_date_with_the_main_lock(installed):
    make(installed, "install-test")
    add(installed, "execnet", lock="requirements-test.lock")
    add(installed, "toolz")
    make(installed, "install")
    assert {EXTRA, "execnet", "toolz"} <= packages(installed)


def test_what_the_user_added_is_not_removed(installed):
    (installed / "own.lock").write_text(pin("toolz"))
    run("uv", "pip", "install", "--python", ".venv/bin/python", "--no-deps", "-r", "own.lock", cwd=installed)
    (installed / "requirements.lock").write_text(pin(SMALL))
    make(installed, "install")
    assert {SMALL, "toolz"} <= packages(installed)


def test_killed_while_a_package_is_written(installed):
    add(installed, BIG)
    folder = next(installed.glob(".venv/lib/*/site-packages")) / BIG
    kill_when(installed, lambda: count_files(folder) > 0, "install")
    written = count_files(folder)
    assert "interrupted" in make(installed, "install")
    assert {BIG, SMALL} <= packages(installed)
    assert 0 < written < count_files(folder), "it was not killed on the way"


@pytest.mark.parametrize("path", [".venv", ".venv/pyvenv.cfg", ".venv/bin/pip"])
def test_killed_while_the_environment_is_made(project, path):
    kill_when(project, (project / path).exists, "install")
    make(project, "install")
    assert {SMALL, "tqdm", "pip"} <= packages(project)


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(project):
    process = subprocess.Popen(
        [sys.executable, "scripts/tools/install.py"],
        cwd=project,
        env=ENVIRONMENT,
        start_new_session=True,
        # A shell's background job, which the tests may be, ignores it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (project / ".venv/pyvenv.cfg").exists():
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate()[1]
    assert said == "\nInterrupted. To finish, run the same command again: what is downloaded is kept.\n"
    assert process.returncode == 1 and (project / ".venv/installing").exists()


def test_another_waits_until_what_a_killed_one_left_running_has_ended(project):
    process = subprocess.Popen([sys.executable, "scripts/tools/install.py"], cwd=project, env=ENVIRONMENT)
    while not (project / ".venv/pyvenv.cfg").exists():
        time.sleep(0.001)
    process.kill()
    process.wait()
    said = make(project, "install")
    assert "Waiting for another install" in said and "interrupted" in said
    assert {SMALL, "tqdm", "pip"} <= packages(project)


def test_after_a_failed_upgrade_the_environment_is_as_before(installed):
    good = (installed / "requirements.lock").read_text()
    wrong = re.sub(r"sha256:\w+", f"sha256:{'0' * 64}", pin("toolz"))
    (installed / "requirements.lock").write_text(good + wrong)
    assert "installing failed" in make(installed, "install", fails=True)
    assert {SMALL, "tqdm"} <= packages(installed)
    (installed / "requirements.lock").write_text(good)
    assert make(installed, "install", PYTHON="false") == ""


def test_offline_says_what_to_do(installed, tmp_path):
    add(installed, "toolz")
    message = make(installed, "install", fails=True, UV_OFFLINE="1", UV_CACHE_DIR=str(tmp_path / "cache"))
    assert "Offline? Connect, then run the same command again" in message
    make(installed, "install")
    assert {SMALL, "toolz"} <= packages(installed)


def test_packages_come_from_the_mirror_that_pip_is_set_to(installed, tmp_path):
    asked = []

    class Mirror(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    add(installed, "toolz")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        index = f"http://127.0.0.1:{server.server_port}"
        settings = tmp_path / "pip.conf"
        settings.write_text(f"[global]\nindex-url = {index}/file\n")
        own = {"PIP_CONFIG_FILE": str(settings), "UV_CACHE_DIR": str(tmp_path / "cache")}
        make(installed, "install", fails=True, **own)
        # As for pip, the environment overrides the file.
        make(installed, "install", fails=True, PIP_INDEX_URL=f"{index}/environment", **own)
        server.shutdown()
    assert [path for path in asked if "toolz" in path] == ["/file/toolz/", "/environment/toolz/"]


@pytest.mark.slow
def test_without_uv_the_one_that_the_lock_pins_is_installed(project):
    with (project / "requirements.lock").open("a") as lock:
        lock.write(pin("uv"))
    # What make needs, and no uv.
    tools = project / "tools"
    tools.mkdir()
    for name in "make", "cmp":
        (tools / name).symlink_to(shutil.which(name))
    said = make(project, "install", f"PYTHON={sys._base_executable}", PATH=f"{tools}")
    assert "Installing uv, which installs the rest" in said
    assert {SMALL, "uv"} <= packages(project)


def test_an_older_python_reads_the_script_as_far_as_its_message():
    text = (ROOT / "scripts" / "tools" / "install.py").read_text()
    tree = ast.parse(text, feature_version=(3, 7))
    first = next(node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    check = next(node for node in tree.body if isinstance(node, ast.If))
    assert "3.11 or newer is needed" in ast.unparse(check) and check.lineno < first.lineno
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert modules <= sys.stdlib_module_names | {"importlib.util"}


def test_an_unknown_extra_is_named(project):
    answer = run(sys.executable, "scripts/tools/install.py", "tset", cwd=project, fails=True)
    assert "unknown extra: tset. Use one of: test" in answer.stderr
