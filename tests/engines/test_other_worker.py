"""Workers on other machines: their temporary folder is another, and so is their Python."""

import json
import shutil
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from test_faults_spark import same_bytes

from churn.engines.spark.session import python_version
from churn.stack.services import WORKERS

# The worker sees an empty folder where the driver has its temporary files, as on another machine.
HIDE = 'mount -t tmpfs none "$1" && shift && exec "$@"'


@pytest.fixture
def other_worker(ran_stack, stack, tmp_path):
    """Replace the stack's workers by one that does not see the driver's temporary folder; yield that folder."""
    temporary = tmp_path / "driver"
    temporary.mkdir()
    for name in WORKERS:
        stack.manager.stop_service(name)
    hidden = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", HIDE, "sh", temporary)
    worker = stack.open(*hidden, "python", "scripts", "serve", WORKERS[0])
    try:
        page = f"http://127.0.0.1:{stack.variables['CHURN_SPARK_UI_PORT']}/json/"
        deadline = time.monotonic() + 60
        while not any(one["state"] == "ALIVE" for one in read(page)["workers"]):
            assert worker.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        yield temporary
    finally:
        worker.terminate()
        worker.communicate(timeout=60)
        for name in WORKERS:
            stack.manager.start_service(name)
        stack.up()


def read(page: str) -> dict:
    with urllib.request.urlopen(page) as answer:
        return json.load(answer)


def test_a_worker_needs_nothing_of_the_drivers_temporary_folder(stack, other_worker, tmp_path):
    stack.run(
        *("python", "scripts/train_model.py", "--train", "data/training/train.parquet"),
        *("--holdout", "data/training/holdout.parquet", "--model", tmp_path / "model"),
        *("--metrics", tmp_path / "metrics.json", "--plots", tmp_path / "plots"),
        TMPDIR=str(other_worker),
    )
    assert same_bytes(stack, tmp_path)
    clean_by_spark(stack, tmp_path, TMPDIR=str(other_worker))
    assert list((tmp_path / "clean").rglob("*.parquet"))


def test_another_version_of_python_on_a_worker_is_named(stack, other_worker, tmp_path):
    there, python = find_another_python()
    message = clean_by_spark(stack, tmp_path, fails=True, PYSPARK_PYTHON=str(python)).stderr
    assert "Traceback" not in message and not list((tmp_path / "clean").rglob("*.parquet"))
    assert f"different version: {there} than" in message
    assert f"Set PYSPARK_PYTHON in .env to the path that Python {python_version()} has" in message


def clean_by_spark(stack, folder: Path, fails: bool = False, **environment: str):
    """Run clean_payments of the newest drop on the cluster, as with `engine: spark` in params.yaml."""
    params = yaml.safe_load((stack.repository / "params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(params | {"engine": "spark"}))
    drop = sorted((stack.repository / "data/raw").glob("2*-*"))[0].name
    return stack.run(
        *("python", "scripts/clean_payments.py", "--raw", "data/raw", "--drop", drop),
        *("--params", folder / "params.yaml", "--clean", folder / "clean", "--metrics", folder / "metrics"),
        fails=fails,
        **environment,
    )


def find_another_python() -> tuple[str, Path]:
    """Return the version and path of a Python on this machine that is not the tests' own."""
    places = [*Path.home().glob(".pyenv/versions/3.*/bin"), *Path("/usr/bin").parent.glob("bin")]
    for minor in (13, 12, 14, 10):
        for place in places:
            found = shutil.which(f"python3.{minor}", path=str(place))
            if found and minor != sys.version_info[1]:
                return f"3.{minor}", Path(found)
    pytest.fail("install a second version of Python, such as python3.12")
