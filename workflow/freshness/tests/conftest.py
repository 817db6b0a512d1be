"""The small pipeline as a fixture: run once for all tests, copied for each that changes it."""

import fcntl
import os
from pathlib import Path

import pytest

from .small_pipeline import EVERYTHING, Repository


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The small pipeline, in which everything has run; made by one of the test run's workers for all of them."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    repository, done = Repository(base / "finished" / "repository"), base / "finished.done"
    with (base / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            repository.create()
            assert repository.ran("snakemake") == EVERYTHING
            repository.commit("Everything has run")
            done.touch()
    return repository


@pytest.fixture
def repository(finished: Repository, tmp_path: Path) -> Repository:
    """A copy of the small pipeline in which everything has run."""
    return finished.copy(tmp_path / "repository")


@pytest.fixture(params=["dvc", "snakemake"])
def tool(request: pytest.FixtureRequest) -> str:
    """The command that runs the pipeline: a test that takes this runs once with each."""
    return request.param
