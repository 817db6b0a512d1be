import json
import shutil

import pyarrow.parquet as pq
import pytest
from conftest import ROOT, run, run_script, shared


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
    clean = folder / "clean" / drop
    payments = ("--payments", folder / "raw" / drop / "PAYMENTS.csv", "--drop", drop)
    outputs = ("--clean", clean / "payments_clean.parquet", "--rejects", clean / "payments_rejects.parquet")
    run_script("clean_payments", *payments, *outputs)
    outputs = ("--user-base", clean / "user_base.parquet", "--rejects", clean / "user_base_rejects.parquet")
    run_script("build_user_base", "--raw", folder / "raw" / drop, "--drop", drop, *outputs)


def build(folder, output, *drops, fails=False):
    (output / "drops.yaml").write_text(json.dumps({"drops": drops}))
    answer = run_script(
        "build_training_set",
        *("--clean", folder / "clean", "--drops", output / "drops.yaml", "--metrics", output / "metrics.json"),
        *("--train", output / "train.parquet", "--holdout", output / "holdout.parquet"),
        fails=fails,
    )
    return answer if fails else json.loads((output / "metrics.json").read_text())


def test_one_real_drop_gives_three_dates_and_no_undated_fact(cleaned, tmp_path):
    metrics = build(cleaned, tmp_path, "1998-06-30")
    assert metrics["training_dates"] == ["1998-04-01", "1998-05-01"]
    assert metrics["holdout_date"] == "1998-05-31"
    assert "mau_mp_1" in metrics["features_unknown"] and "payments_sum" not in metrics["features_unknown"]
    train, holdout = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("train", "holdout"))
    assert len(train) == sum(metrics["as_of_dates"][day]["rows"] for day in metrics["training_dates"])
    assert len(holdout) == metrics["as_of_dates"]["1998-05-31"]["rows"] == 3610
    keys = list(zip(train["as_of_date"].to_pylist(), train["user_id"].to_pylist(), strict=True))
    assert keys == sorted(set(keys)), "one row for each date and user, sorted"


def test_dates_between_drops_take_each_fact_from_the_drop_that_knows_it(cleaned, tmp_path):
    metrics = build(cleaned, tmp_path, "1998-06-16", "1998-06-23", "1998-06-30")
    assert metrics["holdout_date"] == "1998-05-31"
    alone = tmp_path / "alone"
    alone.mkdir()
    # The date lies before all three drops: the earliest of them knows its payments, the newest its label.
    build(cleaned, alone, "1998-06-16", "1998-06-30")
    assert (alone / "holdout.parquet").read_bytes() == (tmp_path / "holdout.parquet").read_bytes()


def test_a_second_run_writes_the_same_bytes(cleaned, tmp_path):
    outputs = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        build(cleaned, folder, "1998-06-23", "1998-06-30")
        outputs.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert outputs[0] == outputs[1]


def test_a_drop_that_is_not_listed_is_left_alone(cleaned, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(cleaned / "clean" / "1998-06-30", folder / "clean" / "1998-06-30")
    alone = build(folder, tmp_path, "1998-06-30")
    shutil.copytree(cleaned / "clean" / "1998-06-23", folder / "clean" / "1998-07-28")
    assert build(folder, tmp_path, "1998-06-30") == alone


def test_too_little_history_and_an_empty_list_say_what_to_do(tmp_path):
    seed = shared("data/seed")
    shutil.copytree(seed, tmp_path / "raw" / "2024-06-15")
    clean_drop(tmp_path, "2024-06-15")
    message = build(tmp_path, tmp_path, "2024-06-15", fails=True).stderr
    assert "drop 2024-06-15 covers 55 days of payments" in message and "150 are needed" in message
    assert "lower one of the two in params.yaml" in message
    output = tmp_path / "features.parquet"
    drop = ("--clean", tmp_path / "clean", "--drop", "2024-06-15", "--output", output)
    message = run_script("build_features", *drop, fails=True).stderr
    assert "cover 55 days, but a lookback of 90 days" in message and not output.exists()
    assert "lists no drop" in build(tmp_path, tmp_path, fails=True).stderr
