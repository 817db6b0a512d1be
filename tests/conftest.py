"""What the tests share: the scripts as a user calls them, and a small repository to run the pipeline in."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Every command finds the tools that this Python has, and none of the developer's own settings.
OWN = ("MLFLOW_", "CHURN_", "DRIFT_", "DVC_", "AWS_")
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(OWN)},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "GIT_AUTHOR_NAME": "Tester",
    "GIT_AUTHOR_EMAIL": "tester@localhost",
    "GIT_COMMITTER_NAME": "Tester",
    "GIT_COMMITTER_EMAIL": "tester@localhost",
}
DEFAULT_GRID = "regParam: [0.003, 0.03]"
SMALL_GRID = "regParam: [0.003]"


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
    """Run scripts/<name>.py with every warning an error, but those that pyproject.toml lets pass too."""
    warnings = ("-W", "error", "-W", "ignore:fetch_arrow_table:DeprecationWarning")
    return run(sys.executable, *warnings, ROOT / "scripts" / f"{name}.py", *arguments, cwd=cwd, fails=fails)


def shared(path: str) -> Path:
    """Return a file of the data that stands beside the repository, or skip."""
    found = ROOT.parent / "shared" / path
    if not found.exists():
        pytest.skip(f"needs {path} of the shared data, which is not here")
    return found


def copy_repository(target: Path) -> Path:
    """Make a new git repository of this checkout's files, without any drop and with a small grid."""
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout.splitlines()
    for name in files:
        if name.startswith(("data/", "metrics/", "dvc.lock", ".git/")) or not (ROOT / name).exists():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    (target / "data" / "raw").mkdir(parents=True)
    (target / "data" / "drops.yaml").write_text("source: none\ndrops: []\n")
    # A grid of two points is a grid; the default's four would be trained again in many tests.
    params = (target / "params.yaml").read_text()
    assert params.count(DEFAULT_GRID) == 1
    (target / "params.yaml").write_text(params.replace(DEFAULT_GRID, SMALL_GRID))
    run("git", "init", "--quiet", cwd=target)
    run("git", "add", "--all", cwd=target)
    run("git", "commit", "--quiet", "--message", "A repository without drops", cwd=target)
    return target


@pytest.fixture(scope="session")
def demo_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two small demo drops that nothing has been run in: copy it before you change it."""
    target = copy_repository(tmp_path_factory.mktemp("demo") / "repository")
    run(sys.executable, "scripts/make_demo_drops.py", "--users", 400, "--drops", 2, cwd=target)
    return target


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes lines into a file of a drop's folder."""

    def write(name: str, *lines: str) -> Path:
        path = tmp_path / "raw" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The small pipeline, run once."""
    from small_pipeline import EVERYTHING, Repository

    repository = Repository(tmp_path_factory.mktemp("finished") / "repository")
    repository.create()
    assert repository.ran("snakemake") == EVERYTHING
    repository.commit("Everything has run")
    return repository


@pytest.fixture
def repository(finished, tmp_path):
    """A copy of the small pipeline in which everything has run."""
    return finished.copy(tmp_path / "repository")


@pytest.fixture(params=["dvc", "snakemake"])
def door(request):
    """Through which door the pipeline runs."""
    return request.param
