"""DuckDB and Spark compute the same tables from the same drops, and Spark writes the same bytes every time."""

import json
import shutil
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from candidates import IGNORE_SOCKETS
from conftest import ROOT, run, shared
from text_ids import with_text_ids, write_text_ids

from build_features import build_features
from build_training_set import build_training_set
from build_user_base import build_user_base
from churn.data import records
from churn.data.mapping import Mapping
from churn.engines import open_engine
from churn.features.table import KEYS
from clean_payments import clean_payments

pytestmark = [IGNORE_SOCKETS, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"), pytest.mark.slow]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
PARAMS["spark"]["partitions"] = 2
# Small enough for several splits of each file.
SPLIT_BYTES = 50_000
TABLES = {f"{name}.parquet" for name in ("payments_clean", "user_base", "churn_features", "train", "holdout")}


@pytest.fixture(scope="module")
def raw(demo_repository, tmp_path_factory) -> dict[str, Path]:
    """A demo drop with bad rows, and a drop of real payments with duplicates, each in its own folder."""
    log, tool = shared("data/cdnow/CDNOW_master.txt"), shared("tools/make_drops.py")
    real = tmp_path_factory.mktemp("cdnow")
    run("python", tool, log, real, "--drop", "1998-06-30", cwd=ROOT)
    newest = max(path for path in (demo_repository / "data/raw").iterdir() if path.is_dir())
    demo = tmp_path_factory.mktemp("demo")
    shutil.copytree(newest, demo / newest.name)
    return {"demo": demo, "real": real}


def run_stages(engine, raw: Path, folder: Path) -> None:
    """Run the four data stages on the only drop in a folder."""
    (drop,) = [path.name for path in raw.iterdir() if path.is_dir()]
    day, clean, metrics = date.fromisoformat(drop), folder / "clean" / drop, folder / "metrics"
    outputs = (clean / "payments_clean.parquet", clean / "payments_rejects.parquet", metrics / f"{drop}.json")
    settings = PARAMS["clean_payments"] | {"duplicate_payments": "drop"}
    clean_payments(engine, raw / drop / "PAYMENTS.csv", day, *outputs, settings, Mapping())
    outputs = (clean / "user_base.parquet", clean / "user_base_rejects.parquet", metrics / "users.json")
    build_user_base(engine, raw / drop, day, *outputs, PARAMS["build_user_base"], Mapping())
    compute_tables(engine, folder, drop)


def compute_tables(engine, folder: Path, drop: str, **changed: int) -> None:
    """Compute the features of the only cleaned drop in a folder, and the training set."""
    day, metrics = date.fromisoformat(drop), folder / "metrics"
    outputs = (folder / "features" / drop / "churn_features.parquet", metrics / "features.json")
    build_features(engine, folder / "clean", metrics, day, *outputs, PARAMS["build_features"])
    outputs = (folder / "train.parquet", folder / "holdout.parquet", metrics / "training_set.json")
    (folder / "drops.yaml").write_text(json.dumps({"drops": [drop]}))
    settings = PARAMS["build_features"] | PARAMS["build_training_set"] | changed
    folders = (folder / "clean", folder / "features", metrics)
    build_training_set(engine, *folders, folder / "drops.yaml", *outputs, settings)


@pytest.fixture(scope="module")
def runs(raw, tmp_path_factory) -> dict[str, Path]:
    """The output folder of each engine; Spark runs twice."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("duckdb", "spark", "again")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "SPLIT_BYTES", SPLIT_BYTES)
        for engine_name, runs in {"duckdb": ["duckdb"], "spark": ["spark", "again"]}.items():
            with open_engine(PARAMS | {"engine": engine_name}) as engine:
                for name in runs:
                    for source in raw if name != "again" else ["demo"]:
                        (folders[name] / source).mkdir()
                        run_stages(engine, raw[source], folders[name] / source)
    return folders


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("source", ["demo", "real"])
def test_both_engines_agree_on_every_value(runs, source):
    one, other = runs["duckdb"] / source, runs["spark"] / source
    tables = sorted({path.parent.relative_to(one) for path in one.rglob("part-*.parquet")})
    assert tables == sorted({path.parent.relative_to(other) for path in other.rglob("part-*.parquet")})
    assert {table.name for table in tables} == TABLES
    for table in tables:
        left, right = pq.read_table(one / table), pq.read_table(other / table)
        keys = [name for name in ("as_of_date", "user_id", "CUS_CUST_ID_BUY") if name in left.column_names]
        if table.name != "payments_clean.parquet":
            left, right = (rows.sort_by([(key, "ascending") for key in keys]) for rows in (left, right))
        assert left.column_names == right.column_names and len(left) == len(right) > 0
        for name in left.column_names:
            assert left[name].type == right[name].type and left[name].equals(right[name]), f"{table} {name}"
    assert {name: content for name, content in files_of(one).items() if "part-" not in name} == {
        name: content for name, content in files_of(other).items() if "part-" not in name
    }, "rejects and counts are the same bytes"


def test_both_engines_write_the_same_bytes_for_a_split(runs):
    parts = {name: files_of(runs[name] / "demo" / "clean") for name in ("duckdb", "spark")}
    payments = {name for name in parts["duckdb"] if "payments_clean.parquet" in name}
    assert len(payments) > 3, "more than one split"
    assert {name for name in payments if parts["duckdb"][name] != parts["spark"].get(name)} == set()


def test_spark_writes_the_same_bytes_twice(runs):
    assert files_of(runs["spark"] / "demo") == files_of(runs["again"] / "demo")


@pytest.fixture(scope="module")
def text_runs(runs, tmp_path_factory) -> dict[str, Path]:
    """The output folder of each engine for the demo drop with text ids, and few training rows."""
    folders = {name: tmp_path_factory.mktemp(f"{name} text") for name in ("duckdb", "spark")}
    for name, folder in folders.items():
        shutil.copytree(runs["duckdb"] / "demo" / "metrics", folder / "metrics")
        (clean,) = (runs["duckdb"] / "demo" / "clean").iterdir()
        for table in ("payments_clean.parquet", "user_base.parquet"):
            write_text_ids(clean / table, folder / "clean" / clean.name / table, "CUS_CUST_ID_BUY")
        with open_engine(PARAMS | {"engine": name}) as engine:
            compute_tables(engine, folder, clean.name, max_training_rows=200)
    return folders


def test_both_engines_compute_the_same_features_for_text_ids(runs, text_runs):
    (path,) = (runs["duckdb"] / "demo" / "features").glob("*/*.parquet")
    expected = with_text_ids(pq.read_table(path)).sort_by("user_id")
    for folder in text_runs.values():
        found = pq.read_table(folder / path.relative_to(runs["duckdb"] / "demo")).sort_by("user_id")
        assert found.column_names == expected.column_names
        for name in found.column_names:
            assert found[name].equals(expected[name]), name


def test_both_engines_keep_the_same_part_of_the_users_with_text_ids(text_runs):
    tables = [pq.read_table(folder / "train.parquet") for folder in text_runs.values()]
    one, other = (table.select(KEYS).sort_by([(key, "ascending") for key in KEYS]) for table in tables)
    assert 50 < len(one) <= 200 and one.to_pydict() == other.to_pydict()
    metrics = [json.loads((folder / "metrics/training_set.json").read_text()) for folder in text_runs.values()]
    assert metrics[0] == metrics[1] and metrics[0]["users_part"] > 1
