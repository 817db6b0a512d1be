"""An embedded store that was moved or copied loads and registers inside itself."""

import json
import shutil
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from conftest import run
from demo_pipeline import read, registry

from churn.release.relocation import COLUMNS, StoreError, check_store, relocate_store

LOAD = """
from churn.release.loading import load_version
from churn.release.registry import open_registry
with open_registry():
    load_version("1")
"""


def locations(repository: Path) -> set[str]:
    """Return all locations in a store that are below a folder mlartifacts."""
    with closing(sqlite3.connect(repository / "mlflow.db")) as connection:
        values = [row[0] for table, column in COLUMNS for row in connection.execute(f"SELECT {column} FROM {table}")]
    return {value for value in values if value and "/mlartifacts" in value}


def doctor(repository: Path, fails: bool = False) -> str:
    """Return the line Production of make doctor, with its fix."""
    printed = run(sys.executable, "scripts", "doctor", cwd=repository, fails=fails).stdout
    return printed[printed.index("Production") : printed.index("\nSpark")]


def contents(repository: Path) -> dict[str, tuple]:
    """Return the size and time of all artifacts, and of the store."""
    files = [repository / "mlflow.db", *(repository / "mlartifacts").rglob("*")]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def test_a_copy_registers_inside_itself_and_works_without_the_original(demo_copy, tmp_path):
    # demo_copy's own store still points to the demo that it was copied from.
    run("python", "-c", LOAD, cwd=demo_copy, PYTHONPATH="scripts")
    here = (demo_copy / "mlartifacts").as_uri()
    assert locations(demo_copy) and all(value.startswith(here) for value in locations(demo_copy))
    client = registry(demo_copy)
    client.create_registered_model("other")
    client.create_model_version("other", "s3://bucket/mlartifacts/1")
    before = contents(demo_copy)
    odd = shutil.copytree(demo_copy, tmp_path / "copia 100% o'brien #ñ?", symlinks=True)
    trained = read(odd, "metrics/train_model.json") | {"threshold": 0.3}
    (odd / "metrics/train_model.json").write_text(json.dumps(trained))
    run("python", "scripts/register_candidate.py", "--receipt", "receipt.json", cwd=odd)
    assert read(odd, "receipt.json")["version"] == "2" and contents(demo_copy) == before
    # Moved away: the copy does not need it.
    demo_copy.rename(tmp_path / "away")
    inside = {value for value in locations(odd) if value != "s3://bucket/mlartifacts/1"}
    assert all(value.startswith((odd / "mlartifacts").as_uri()) for value in inside) and inside != locations(odd)
    assert "version 1 of churn-model can be loaded" in doctor(odd)
    run("python", "-c", LOAD, cwd=tmp_path / "away", PYTHONPATH="scripts")
    shutil.rmtree(odd / "mlartifacts")
    line = doctor(odd, fails=True)
    assert "FAULT" in line and "cannot be loaded from file://" in line and "make rollback" in line


def test_many_processes_repair_a_store_at_once_and_what_is_only_elsewhere_stays(demo_copy, tmp_path):
    (tmp_path / "copy").mkdir()
    shutil.copyfile(demo_copy / "mlflow.db", tmp_path / "copy/mlflow.db")
    there = locations(demo_copy)
    relocate_store(tmp_path / "copy/mlflow.db")
    # Without its artifacts, the copy goes on loading the original's, but writes into its own folder.
    with closing(sqlite3.connect(tmp_path / "copy/mlflow.db")) as connection:
        (experiment,) = connection.execute("SELECT artifact_location FROM experiments WHERE experiment_id > 0")
        (source,) = connection.execute("SELECT source FROM model_versions WHERE name = 'churn-model'")
    assert experiment[0] == (tmp_path / "copy/mlartifacts").as_uri() and source[0] in there
    origin = Path(source[0].rpartition("/mlartifacts/")[2])
    shutil.copytree(demo_copy / "mlartifacts", tmp_path / "copy/mlartifacts")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(relocate_store, [tmp_path / "copy/mlflow.db"] * 16))
    moved = locations(tmp_path / "copy")
    assert (tmp_path / "copy/mlartifacts" / origin).as_uri() in moved
    assert all(value.startswith((tmp_path / "copy/mlartifacts").as_uri()) for value in moved)
    before = (tmp_path / "copy/mlflow.db").stat().st_mtime_ns
    relocate_store(tmp_path / "copy/mlflow.db")
    assert (tmp_path / "copy/mlflow.db").stat().st_mtime_ns == before


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_a_file_that_is_no_store_is_left_alone(tmp_path, content):
    (tmp_path / "mlflow.db").write_bytes(content)
    relocate_store(tmp_path / "mlflow.db")
    relocate_store(tmp_path / "none.db")
    assert (tmp_path / "mlflow.db").read_bytes() == content and not (tmp_path / "none.db").exists()


def test_a_store_that_cannot_be_read_is_named_and_a_new_one_is_not(tmp_path):
    store = tmp_path / "mlflow.db"
    for make in (store.mkdir, lambda: store.symlink_to(store), lambda: store.write_bytes(b"not a database" * 100)):
        make()
        with pytest.raises(StoreError, match=r"^mlflow\.db cannot be read: .* restore it from a backup\.$"):
            check_store(store)
        store.rmdir() if store.is_dir() else store.unlink()
    check_store(store)
    store.touch()
    check_store(store)
