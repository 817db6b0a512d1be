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
import tomllib
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, ROOT, run
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Many files in one package: long enough to be killed while it is written.
BIG, SMALL, EXTRA = "plotly", "zipp", "iniconfig"
LOCKS = sorted(ROOT.glob("requirements*.lock"))


def pins(lock: Path) -> dict[str, str]:
    """Return the lines of each pinned package, by the first of them."""
    packages = re.findall(r"^[A-Za-z0-9](?:.*\\\n)*.*\n", lock.read_text(), re.MULTILINE)
    return {package.partition(" \\\n")[0]: package for package in packages}


def pin(name: str, lock: str = "requirements.lock") -> str:
    """Return what a lock of this project says of one package."""
    return next(text for line, text in pins(ROOT / lock).items() if re.match(rf"{name}==", line))


@pytest.fixture
def project(tmp_path):
    """The installer and the Makefile, with locks of few packages, in a folder with an awkward name."""
    folder = tmp_path / "días de año" / "o'brien"
    (folder / "scripts" / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(ROOT / "scripts" / "tools" / "install.py", folder / "scripts" / "tools")
    (folder / "requirements.lock").write_text(pin(SMALL) + pin("tqdm"))
    (folder / "requirements-test.lock").write_text(pin(EXTRA, "requirements-test.lock"))
    return folder


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


def test_commands_start_in_a_folder_with_blanks_accents_and_a_quote(project):
    make(project, "install")
    assert {SMALL, "tqdm", "pip"} <= packages(project)
    assert run(project / ".venv/bin/tqdm", "--version", cwd=project).stdout.strip() in pin("tqdm")


def test_when_nothing_changed_no_python_is_started(project):
    make(project, "install-test")
    assert make(project, "install", "install-test", PYTHON="false") == ""


@pytest.mark.parametrize("change", ["rm .venv/bin/python", "touch .venv/installing", "echo >> requirements.lock"])
def test_what_changed_is_installed(project, change):
    make(project, "install")
    run("sh", "-c", change, cwd=project)
    make(project, "install")
    assert SMALL in packages(project)
    assert make(project, "install", PYTHON="false") == ""


def test_an_extra_stays_and_is_brought_up_to_date_with_the_main_lock(project):
    make(project, "install-test")
    with (project / "requirements-test.lock").open("a") as lock:
        lock.write(pin("execnet", "requirements-test.lock"))
    with (project / "requirements.lock").open("a") as lock:
        lock.write(pin("toolz"))
    make(project, "install")
    assert {EXTRA, "execnet", "toolz"} <= packages(project)


def test_what_the_user_added_is_not_removed(project):
    (project / "own.lock").write_text(pin("toolz"))
    make(project, "install")
    run("uv", "pip", "install", "--python", ".venv/bin/python", "--no-deps", "-r", "own.lock", cwd=project)
    (project / "requirements.lock").write_text(pin(SMALL))
    make(project, "install")
    assert {SMALL, "toolz"} <= packages(project)


def test_killed_while_a_package_is_written(project):
    (project / "requirements.lock").write_text(pin(BIG) + pin(SMALL))
    make(project, "install")  # the package is in uv's cache now, so that uv writes at once
    whole = sum(path.is_file() for path in next(project.glob(f".venv/lib/*/site-packages/{BIG}")).rglob("*"))
    shutil.rmtree(project / ".venv")
    site = project / ".venv/lib" / f"python3.{sys.version_info[1]}" / "site-packages"
    kill_when(project, (site / BIG).exists, "install")
    written = sum(path.is_file() for path in (site / BIG).rglob("*"))
    assert 0 < written < whole, "it was not killed on the way"
    assert "interrupted" in make(project, "install")
    assert {BIG, SMALL} <= packages(project)


@pytest.mark.slow
@pytest.mark.parametrize("path", [".venv", ".venv/pyvenv.cfg", ".venv/bin/pip"])
def test_killed_while_the_environment_is_made(project, path):
    kill_when(project, (project / path).exists, "install")
    make(project, "install")
    assert {SMALL, "tqdm", "pip"} <= packages(project)


@pytest.mark.slow
def test_another_waits_until_what_a_killed_one_left_running_has_ended(project):
    process = subprocess.Popen([sys.executable, "scripts/tools/install.py"], cwd=project, env=ENVIRONMENT)
    while not (project / ".venv/pyvenv.cfg").exists():
        time.sleep(0.001)
    process.kill()
    process.wait()
    said = make(project, "install")
    assert "Waiting for another install" in said and "interrupted" in said
    assert {SMALL, "tqdm", "pip"} <= packages(project)


def test_after_a_failed_upgrade_the_environment_is_as_before(project):
    make(project, "install")
    good = (project / "requirements.lock").read_text()
    wrong = re.sub(r"sha256:\w+", f"sha256:{'0' * 64}", pin("toolz"))
    (project / "requirements.lock").write_text(good + wrong)
    assert "installing failed" in make(project, "install", fails=True)
    assert {SMALL, "tqdm"} <= packages(project)
    (project / "requirements.lock").write_text(good)
    assert make(project, "install", PYTHON="false") == ""


def test_offline_says_what_to_do(project, tmp_path):
    message = make(project, "install", fails=True, UV_OFFLINE="1", UV_CACHE_DIR=str(tmp_path / "cache"))
    assert "Offline? Connect, then run the same command again" in message
    make(project, "install")
    assert SMALL in packages(project)


def test_packages_come_from_the_mirror_that_pip_is_set_to(project, tmp_path):
    asked = []

    class Mirror(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        index = f"http://127.0.0.1:{server.server_port}/mirror"
        make(project, "install", fails=True, PIP_INDEX_URL=index, UV_CACHE_DIR=str(tmp_path / "cache"))
        server.shutdown()
    assert f"/mirror/{SMALL}/" in asked


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


def test_the_locks_agree_and_none_repeats_the_main_one():
    texts = {}
    main = pins(ROOT / "requirements.lock")
    for lock in LOCKS:
        for line, text in pins(lock).items():
            assert lock.name == "requirements.lock" or line not in main, f"{line} is in {lock.name} again"
            hashes = set(re.findall(r"sha256:\w+", text))
            assert hashes and texts.setdefault(line, hashes) == hashes
    versions = {}
    for line in texts:
        required = Requirement(line)
        if required.marker is None or required.marker.evaluate():
            versions.setdefault(required.name, set()).add(str(required.specifier))
    assert [name for name, found in versions.items() if len(found) > 1] == []


def test_each_lock_holds_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"requirements.lock": project["dependencies"]} | {
        f"requirements-{extra}.lock": wanted for extra, wanted in project["optional-dependencies"].items()
    }
    assert [lock.name for lock in LOCKS] == sorted(groups)
    for name, wanted in groups.items():
        pinned = {}
        for line in (*pins(ROOT / "requirements.lock"), *pins(ROOT / name)):
            required = Requirement(line)
            pinned[canonicalize_name(required.name)] = str(required.specifier).removeprefix("==")
        for text in wanted:
            required = Requirement(text)
            assert required.specifier.contains(pinned[canonicalize_name(required.name)]), (
                f"{text}: make lock was not run"
            )


def test_no_lock_names_a_package_index():
    for lock in LOCKS:
        assert not re.search(r"://|--index|--find-links", lock.read_text())
