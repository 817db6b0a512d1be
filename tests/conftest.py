"""What the tests share: the scripts as a user calls them, and a small repository to run the pipeline in."""

import contextlib
import fcntl
import importlib
import io
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Every command finds the tools that this Python has, and none of the developer's own settings, nor what a `make test`
# tells each make below it (which would print the folders that it enters).
OWN = ("MLFLOW_", "CHURN_", "DRIFT_", "DVC_", "AWS_", "MINIO_", "SPARK_", "MAKE", "MFLAGS", "PYTHONDONTWRITEBYTECODE")
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(OWN)},
    # Nor what the developer's .env says of a stack that is up.
    "PYTHON_DOTENV_DISABLED": "1",
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "GIT_AUTHOR_NAME": "Tester",
    "GIT_AUTHOR_EMAIL": "tester@localhost",
    "GIT_COMMITTER_NAME": "Tester",
    "GIT_COMMITTER_EMAIL": "tester@localhost",
}
# What keeps make from installing anything: the packages are those of this Python.
INSTALLED = [part for of in ("", "-test", "-docs", "-notebook") for part in ("--assume-old", f"install{of}")]
# A grid of two points and two folds are a search; the default's would be trained again in many tests.
SMALLER = {"regParam: [0.1, 0.03, 0.003]": "regParam: [0.03, 0.003]", "folds: 3 ": "folds: 2 "}


def run(*command: object, cwd: Path, fails: bool = False, **environment: str) -> subprocess.CompletedProcess:
    """Run a command; a surprise ends the test with what it printed."""
    answer = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode != 0) is fails, f"{command}\n{answer.stdout}\n{answer.stderr}"
    if fails:
        assert "Traceback" not in answer.stderr, answer.stderr
    return answer


def run_script(name: str, *arguments: object, fails: bool = False, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Run a step or a tool with every warning an error, but those that pyproject.toml lets pass too."""
    warnings = ("-W", "error", "-W", "ignore:fetch_arrow_table:DeprecationWarning")
    is_tool = (ROOT / "scripts" / "tools" / f"{name}.py").exists()
    command = [ROOT / "scripts", name] if is_tool else [ROOT / "scripts" / f"{name}.py"]
    return run(sys.executable, *warnings, *command, *arguments, cwd=cwd, fails=fails)


def call_script(
    name: str, *arguments: object, fails: bool = False, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess:
    """Run the command line of a step or a tool in this process, for tests that need no process of their own.

    A UserError is printed as `run_command` prints it; any other error ends the test. The environment is that of `run`.
    """
    from churn.base.command import UserError

    is_tool, before = (ROOT / "scripts" / "tools" / f"{name}.py").exists(), dict(os.environ)
    script, code = importlib.import_module(f"tools.{name}" if is_tool else name), 0
    output, messages = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(messages),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        _replace_environment(ENVIRONMENT | environment)
        try:
            script.main()
        except UserError as error:
            print(f"ERROR: {error}", file=sys.stderr)
            code = 1
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            _replace_environment(before)
    answer = subprocess.CompletedProcess([name, *arguments], code, output.getvalue(), messages.getvalue())
    assert (code != 0) is fails, f"{answer.args}\n{answer.stdout}\n{answer.stderr}"
    return answer


def _replace_environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def shared(path: str) -> Path:
    """Return a file of the data that is beside the repository, or skip."""
    found = ROOT.parent / "shared" / path
    if not found.exists():
        pytest.skip(f"needs {path} of the shared data, which is not here")
    return found


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Let one of the test run's workers make a folder for all of them; none may change it."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, done = base / name, base / f"{name}.done"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(folder)
            done.touch()
    return folder


def copy_repository(target: Path) -> Path:
    """Make a new git repository of this checkout's files, without any drop and with a small grid."""
    from churn.base.drops import write_list

    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout.splitlines()
    for name in files:
        if name.startswith(("data/raw", "data/drops", "metrics/", "dvc.lock", ".git/")) or not (ROOT / name).exists():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    (target / "data" / "raw").mkdir(parents=True)
    write_list(target / "data" / "drops.yaml", "none", [])
    params = (target / "params.yaml").read_text()
    for default, small in SMALLER.items():
        assert params.count(default) == 1
        params = params.replace(default, small)
    (target / "params.yaml").write_text(params)
    run("git", "init", "--quiet", cwd=target)
    run("git", "add", "--all", cwd=target)
    run("git", "commit", "--quiet", "--message", "A repository without drops", cwd=target)
    return target


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests on the shared stack as slow, and order all tests so that the two workers rarely wait.

    Each worker begins with one half of the list. The tests that share a stack or the finished demo are in the first
    half, so that the second worker has other tests while the first starts the stack or runs the demo.
    """
    for item in items:
        if "shared_stack" in item.fixturenames:
            item.add_marker(pytest.mark.slow)
    shared_first = ("shared_stack", "demo")
    items.sort(key=lambda item: [name not in item.fixturenames for name in shared_first])


@pytest.fixture(scope="session")
def demo_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two small demo drops that nothing has been run in: copy it before you change it."""

    def make(folder: Path) -> None:
        copy_repository(folder)
        run(sys.executable, "scripts", "demo", "--users", 400, "--drops", 2, cwd=folder)

    return make_once(tmp_path_factory, "demo_repository", make)


@pytest.fixture(scope="session")
def demo(demo_repository, tmp_path_factory):
    """The small demo, run by Snakemake to its end, in a folder with blanks, accents and a quote in its name."""
    from demo_pipeline import go

    def make(folder: Path) -> None:
        shutil.copytree(demo_repository, folder, symlinks=True)
        go("snakemake", folder)

    return make_once(tmp_path_factory, "días de año, o'brien", make)


@pytest.fixture
def demo_copy(demo, tmp_path):
    return shutil.copytree(demo, tmp_path / "repository", symlinks=True)


@pytest.fixture(scope="session")
def two_models(demo, tmp_path_factory):
    """The demo on the branch main, and on the branch less a worse model, trained once for all tests."""
    from two_models import make_two_models

    return make_once(tmp_path_factory, "two_models", lambda folder: make_two_models(demo, folder))


@pytest.fixture(scope="session")
def shared_stack(demo_repository, tmp_path_factory):
    """A stack that runs, in a repository with two small demo drops in which nothing has been run."""
    from running_stack import share_stack

    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with share_stack(base / "stack", demo_repository) as stack:
        yield stack


@pytest.fixture
def stack(shared_stack):
    """The stack, for one test at a time: it may stop services, and starts them again."""
    from running_stack import one_at_a_time

    with one_at_a_time(shared_stack.repository.parent):
        yield shared_stack


@pytest.fixture(scope="session")
def ran_stack(shared_stack):
    """The stack after the small demo has run on it, whichever test comes first."""
    from running_stack import one_at_a_time

    with one_at_a_time(shared_stack.repository.parent):
        if not (shared_stack.repository / "reports/release/promote_model.json").exists():
            shared_stack.run("snakemake", "--cores", "2")
    return shared_stack


@pytest.fixture
def web():
    """A web server that keeps what is posted to it."""
    from message_servers import web_server

    with web_server() as server:
        yield server


@pytest.fixture
def mail():
    """A mail server that keeps what is sent to it."""
    from message_servers import mail_server

    with mail_server() as server:
        yield server


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes lines into a file of the drop 2024-06-15."""

    def write(name: str, *lines: str) -> Path:
        path = tmp_path / "raw" / "2024-06-15" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write
