"""Kill part of Spark's cluster during training: the run gives the same bytes, or one message and the next run does."""

import json
import time
import urllib.request

import psutil
import pytest

SECONDS = 60


@pytest.fixture
def training(ran_stack, stack, tmp_path):
    """Start training on the stack's cluster into a new folder, and return once it has executors."""

    def begin(name: str):
        folder = tmp_path / name
        process = stack.open(
            *("python", "scripts/train_model.py", "--train", "data/training/train.parquet"),
            *("--holdout", "data/training/holdout.parquet", "--model", folder / "model"),
            *("--metrics", folder / "metrics.json", "--plots", folder / "plots"),
        )
        page = f"http://127.0.0.1:{stack.variables['CHURN_SPARK_UI_PORT']}/json/"
        deadline = time.monotonic() + 120
        while not has_executors(page):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        # Now the grid search is running: the driver has its executors.
        time.sleep(5)
        assert process.poll() is None
        return process, folder

    return begin


def has_executors(page: str) -> bool:
    with urllib.request.urlopen(page) as answer:
        return any(app["cores"] for app in json.load(answer)["activeapps"])


def kill(stack, name: str) -> None:
    """Kill a service and its child processes; supervisor restarts it."""
    process = next(child for child in stack.manager.process.children() if service_of(child) == name)
    for victim in [*process.children(recursive=True), process]:
        victim.kill()


def service_of(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    if "deploy.master.Master" in command:
        return "spark-master"
    return next((f"spark-worker-{number}" for number in (1, 2) if f"spark/worker-{number}" in command), "")


def same_bytes(stack, folder) -> bool:
    mine, theirs = folder / "model", stack.repository / "models/candidate"
    names = sorted(path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file() and path.name[0] != ".")
    return names == sorted(path.relative_to(mine) for path in mine.rglob("*") if path.is_file()) and all(
        (mine / name).read_bytes() == (theirs / name).read_bytes() for name in names
    )


def train_during_a_kill(stack, training, victim: str) -> None:
    """Kill a service during training: this run, or after one message the next, gives the same bytes."""
    process, folder = training("first")
    kill(stack, victim)
    printed, _ = process.communicate(timeout=300)
    if process.returncode:
        assert f"Spark at {stack.variables['SPARK_MASTER']}" in printed and "Traceback" not in printed, printed
        assert not (folder / "model").exists() and not (folder / "metrics.json").exists()
        stack.up()
        process, folder = training("second")
        printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert same_bytes(stack, folder)
    stack.up()


def test_the_master_is_killed_during_training(stack, training):
    train_during_a_kill(stack, training, "spark-master")


def test_the_whole_cluster_is_lost_during_training_and_a_worker_is_killed_during_the_next(stack, training):
    process, folder = training("lost")
    services = "spark-master", "spark-worker-1", "spark-worker-2"
    for name in services:
        stack.manager.stop_service(name)
    began = time.monotonic()
    try:
        printed, _ = process.communicate(timeout=300)
        took = time.monotonic() - began
        assert process.returncode != 0 and f"Spark at {stack.variables['SPARK_MASTER']}" in printed, printed
        assert "Traceback" not in printed and not (folder / "model").exists()
        assert took < SECONDS, f"{took:.0f} s\n{printed}"
        message = stack.run(
            *("python", "scripts/train_model.py", "--train", "data/training/train.parquet"),
            *("--holdout", "data/training/holdout.parquet", "--model", folder / "model"),
            *("--metrics", folder / "metrics.json", "--plots", folder / "plots"),
            fails=True,
        ).stderr
        assert f"Spark's master at {stack.variables['SPARK_MASTER']} does not answer" in message
        assert "make up" in message
    finally:
        for name in services:
            stack.manager.start_service(name)
        stack.up()
    train_during_a_kill(stack, training, "spark-worker-1")
