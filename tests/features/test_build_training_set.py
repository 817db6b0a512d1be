import json
import shutil
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, call_script, run, shared
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from build_training_set import build_training_set
from churn.engines.duckdb import DuckDBEngine

HOLDOUT = date(1998, 5, 31)
PARAMS = {
    "lookback_days": 90,
    "horizon_days": 30,
    "as_of_dates": ["1998-04-01", "1998-05-01", str(HOLDOUT)],
    "max_training_dates": 26,
    "max_training_rows": 2_000_000,
}


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory):
    """Three weekly drops of real payments, cleaned."""
    folder = tmp_path_factory.mktemp("cdnow")
    drops = ["1998-06-16", "1998-06-23", "1998-06-30"]
    log, tool = shared("data/cdnow/CDNOW_master.txt"), shared("tools/make_drops.py")
    run("python", tool, log, folder / "raw", *(part for drop in drops for part in ("--drop", drop)), cwd=ROOT)
    for drop in drops:
        clean_drop(folder, drop)
    return folder


def clean_drop(folder, drop):
    folders = ("--raw", folder / "raw", "--clean", folder / "clean")
    call_script("clean_payments", "--drop", drop, *folders, "--metrics", folder / "metrics")
    call_script("build_user_base", "--drop", drop, *folders, "--metrics", folder / "counts")


def build(folder, output, *drops, fails=False):
    (output / "drops.yaml").write_text(json.dumps({"drops": drops}))
    answer = call_script(
        "build_training_set",
        *("--clean", folder / "clean", "--features", folder / "features", "--coverage", folder / "metrics"),
        *("--drops", output / "drops.yaml", "--metrics", output / "metrics.json"),
        *("--train", output / "train.parquet", "--holdout", output / "holdout.parquet"),
        fails=fails,
    )
    return answer if fails else json.loads((output / "metrics.json").read_text())


def test_one_drop_gives_three_dates_without_undated_facts(cleaned, tmp_path):
    metrics = build(cleaned, tmp_path, "1998-06-30")
    assert metrics["training_dates"] == ["1998-04-01", "1998-05-01"]
    assert metrics["holdout_date"] == "1998-05-31"
    assert "mau_mp_1" in metrics["features_unknown"] and "payments_sum" not in metrics["features_unknown"]
    train, holdout = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("train", "holdout"))
    assert len(train) == sum(metrics["as_of_dates"][day]["rows"] for day in metrics["training_dates"])
    assert len(holdout) == metrics["as_of_dates"]["1998-05-31"]["rows"] == 3610
    keys = list(zip(train["as_of_date"].to_pylist(), train["user_id"].to_pylist(), strict=True))
    assert keys == sorted(set(keys)), "one row for each date and user, sorted"


def test_a_date_before_all_drops_takes_its_facts_from_the_earliest_and_the_newest(cleaned, tmp_path):
    metrics = build(cleaned, tmp_path, "1998-06-16", "1998-06-23", "1998-06-30")
    assert metrics["holdout_date"] == "1998-05-31"
    alone = tmp_path / "alone"
    alone.mkdir()
    # The date is before all three drops: its payments come from the earliest, its label from the newest.
    build(cleaned, alone, "1998-06-16", "1998-06-30")
    part = "holdout.parquet/part-00000.parquet"
    assert (alone / part).read_bytes() == (tmp_path / part).read_bytes()


def test_a_second_run_writes_the_same_bytes(cleaned, tmp_path):
    outputs = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        build(cleaned, folder, "1998-06-23", "1998-06-30")
        outputs.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert outputs[0] == outputs[1]


def test_an_unlisted_drop_is_ignored(cleaned, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(cleaned / "clean" / "1998-06-30", folder / "clean" / "1998-06-30")
    shutil.copytree(cleaned / "metrics", folder / "metrics")
    alone = build(folder, tmp_path, "1998-06-30")
    shutil.copytree(cleaned / "clean" / "1998-06-23", folder / "clean" / "1998-07-28")
    assert build(folder, tmp_path, "1998-06-30") == alone


def test_errors_for_too_little_history_and_an_empty_list_say_what_to_do(tmp_path):
    seed = shared("data/seed")
    shutil.copytree(seed, tmp_path / "raw" / "2024-06-15")
    clean_drop(tmp_path, "2024-06-15")
    message = build(tmp_path, tmp_path, "2024-06-15", fails=True).stderr
    assert "drop 2024-06-15 covers 55 days of payments" in message and "150 are needed" in message
    assert "lower one of the two in params.yaml" in message
    output = tmp_path / "features"
    drop = ("--clean", tmp_path / "clean", "--drop", "2024-06-15", "--features", output)
    drop += ("--coverage", tmp_path / "metrics", "--metrics", tmp_path / "counts")
    message = call_script("build_features", *drop, fails=True).stderr
    assert "cover 55 days, but a lookback of 90 days" in message and not output.exists()
    assert "lists no drop" in build(tmp_path, tmp_path, fails=True).stderr


def remove_the_future(payments):
    return payments.filter(pc.less_equal(payments["FECHA"], pa.scalar(HOLDOUT)))


def alter_the_future(payments):
    later = pc.greater(payments["FECHA"], pa.scalar(HOLDOUT))
    spent = pc.if_else(later, pa.scalar(Decimal("9999.99"), payments["SPENT"].type), payments["SPENT"])
    return payments.set_column(payments.schema.get_field_index("SPENT"), "SPENT", spent)


def add_a_future(payments):
    more = payments.slice(0, 1000)
    day = pa.array([HOLDOUT + timedelta(days=1)] * len(more), pa.date32())
    return pa.concat_tables([payments, more.set_column(0, payments.schema.field(0), day)])


def build_here(clean, coverage, folder, params=PARAMS):
    folder.mkdir(exist_ok=True)
    (folder / "drops.yaml").write_text(json.dumps({"drops": sorted(path.name for path in clean.iterdir())}))
    outputs = [folder / name for name in ("train.parquet", "holdout.parquet", "metrics.json")]
    folders = (clean, clean.with_name("features"), coverage)
    build_training_set(DuckDBEngine("1GB", ""), *folders, folder / "drops.yaml", *outputs, params)
    return pq.read_table(outputs[0]), pq.read_table(outputs[1])


@pytest.mark.parametrize("change", [remove_the_future, alter_the_future, add_a_future])
def test_the_future_does_not_change_features(cleaned, tmp_path, change):
    clean = shutil.copytree(cleaned / "clean", tmp_path / "clean")
    _, before = build_here(clean, cleaned / "metrics", tmp_path / "before")
    for path in clean.glob("*/payments_clean.parquet/*"):
        payments = pq.read_table(path)
        assert not change(payments).equals(payments)
        pq.write_table(change(payments), path)
    _, after = build_here(clean, cleaned / "metrics", tmp_path / "after")
    if change is not alter_the_future:
        assert after["label"] != before["label"]
    assert after.drop_columns("label").equals(before.drop_columns("label"))


def test_random_labels_cannot_be_learnt(cleaned, tmp_path):
    train, holdout = build_here(cleaned / "clean", cleaned / "metrics", tmp_path)
    names = ["days_since_last_payment", "active_days", "payments_sum", "payments_last_30d"]
    rows = [np.column_stack([np.log1p(table[name].to_numpy()) for name in names]) for table in (train, holdout)]
    label, truth = train["label"].to_numpy(), holdout["label"].to_numpy()

    def learn(label):
        return roc_auc_score(truth, LogisticRegression().fit(rows[0], label).decision_function(rows[1]))

    chance = np.random.default_rng(0)
    assert learn(label) > 0.6
    assert abs(np.mean([learn(chance.permutation(label)) for _ in range(20)]) - 0.5) < 0.05
