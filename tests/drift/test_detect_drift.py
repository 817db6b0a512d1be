"""Drift of each drop against earlier ones is found and reported, with the same bytes in every run."""

import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from candidates import IGNORE_SOCKETS, shared_candidate
from conftest import ROOT
from drift_weeks import AS_OF, FIRST, PARAMS, USERS, measure_drops, older, week, write_drops
from scipy.stats import wasserstein_distance
from text_ids import with_text_ids

from churn.base.command import UserError
from churn.base.drops import read_drops
from churn.drift.sample import sample_drop
from churn.features.user_hash import hash_users
from detect_drift import detect_drift

pytestmark = IGNORE_SOCKETS


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return shared_candidate(tmp_path_factory).model


def inputs_of(folder: Path) -> tuple[Path, ...]:
    """Return measures, list, sample of the newest drop, metrics of the training set."""
    listing = folder / "drops.yaml"
    return folder / "measures", listing, folder / "drift" / str(read_drops(listing)[-1]), folder / "training_set.json"


def run(folder: Path, model: Path, **changed) -> tuple[dict, Path]:
    measure_drops(folder, **changed)
    outs = folder / "metrics.json", folder / "report", folder / "plots"
    detect_drift(*inputs_of(folder), model, *outs, PARAMS | changed)
    (page,) = (folder / "report").glob("*.html")
    return json.loads((folder / "metrics.json").read_text()), page


@pytest.fixture(scope="module")
def shifted(tmp_path_factory) -> Path:
    """Ten weeks, the newest with users ten years older, and a folder that is not a listed drop."""
    folder = write_drops(tmp_path_factory.mktemp("shifted"), [*map(week, range(9)), week(9, age=older())])
    (folder / "features" / "2023-01-01").mkdir()
    (folder / "features" / "2023-01-01" / "churn_features.parquet").write_bytes(b"stray")
    return folder


def run_script(folder: Path, model: Path, outs: Path, **environment: str) -> str:
    """Run the stage in its own process: libraries that other tests import change Evidently's colours."""
    inputs = dict(zip(("measures", "drops", "sample", "training-set"), inputs_of(folder), strict=True))
    inputs |= {"model": model, "params": ROOT / "params.yaml"}
    written = {"metrics": outs / "metrics.json", "report": outs / "report", "plots": outs / "plots"}
    words = [word for flag, path in (inputs | written).items() for word in (f"--{flag}", str(path))]
    command = [sys.executable, ROOT / "scripts" / "detect_drift.py", *words]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def found(shifted, model) -> tuple[dict, Path]:
    measure_drops(shifted)
    run_script(shifted, model, shifted)
    (page,) = (shifted / "report").glob("*.html")
    return json.loads((shifted / "metrics.json").read_text()), page


def test_a_planted_shift_is_found_and_reported(found, shifted):
    metrics, _ = found
    assert metrics["drifted_columns"] == ["age"] and metrics["drift_detected"] is False
    assert metrics["drift_share"] == pytest.approx(1 / metrics["measured_columns"], abs=1e-6)
    columns = {record["column"]: record for record in json.loads((shifted / "report/columns.json").read_text())}
    before = np.concatenate([week(number)["age"].drop_null().to_numpy() for number in range(1, 9)])
    # In standard deviations of earlier ages.
    moved = wasserstein_distance(older(), before) / before.std()
    assert columns["age"]["statistic"] == pytest.approx(moved, abs=1e-3) and moved > 0.5
    assert columns["age"]["drifted"] and columns["age"]["threshold"] == 0.1
    assert any(alarm.startswith("age drifted: wasserstein distance") for alarm in metrics["alarms"])


def test_the_newest_drop_is_compared_with_the_eight_before_it(found):
    metrics, page = found
    assert metrics["current_drop"] == page.stem == "2024-03-10"
    assert metrics["reference_drops"] == [str(FIRST + timedelta(weeks=number)) for number in range(1, 9)]
    assert (metrics["current_rows"], metrics["reference_rows"]) == (USERS, 8 * USERS)


def test_the_history_contains_every_week_from_the_second_on(found, shifted):
    history = json.loads((shifted / "plots/history.json").read_text())
    assert [one["drop"] for one in history] == [str(FIRST + timedelta(weeks=number)) for number in range(1, 10)]
    assert [one["drift_share"] > 0 for one in history] == [False] * 8 + [True]
    assert [one["largest_part_of_limit"] >= 1 for one in history] == [False] * 8 + [True]
    distances = json.loads((shifted / "plots/distances.json").read_text())
    age = {one["drop"]: one["distance"] for one in distances if one["column"] == "age"}
    assert len(age) == 9 and max(age, key=age.get) == "2024-03-10"
    assert {one["column"] for one in distances} >= {"card_type", "churn_probability"}
    assert (shifted / "plots/history.png").stat().st_size > 10_000


def test_a_column_without_values_is_left_out_and_reported(found, shifted):
    columns = {record["column"]: record for record in json.loads((shifted / "report/columns.json").read_text())}
    assert columns["mau_ml_1"]["left_out"] == "no value in any of these drops"
    assert columns["has_investment"]["left_out"] == "the same value in all of these drops"
    assert found[0]["measured_columns"] == len(columns) - 2
    assert "no value in any of these drops" in found[1].read_text()


def test_the_page_agrees_with_evidently(found, shifted):
    metrics, page = found
    text = page.read_text()
    counted = re.search(r"Drift is detected for [\d.]+% of columns \((\d+) out of (\d+)\)", text)
    assert [int(number) for number in counted.groups()] == [1, metrics["measured_columns"]]
    assert f"1 of {metrics['measured_columns']} columns drifted: age" in text and "no drift detected" in text
    # Evidently's own numbers, in the data of its page.
    for record in json.loads((shifted / "report/columns.json").read_text()):
        if "statistic" in record:
            assert f'"column_name": "{record["column"]}"' in text
            figures = [float(one) for one in re.findall(r'"drift_score": "?([\d.e-]+)', text)]
            assert any(figure == pytest.approx(record["statistic"], abs=2e-6) for figure in figures)


def test_process_hash_seed_folder_and_time_zone_do_not_change_the_bytes(shifted, found, model, tmp_path):
    (tmp_path / "home").mkdir()
    elsewhere = {"PYTHONHASHSEED": "7", "TZ": "Pacific/Kiritimati", "HOME": str(tmp_path / "home")}
    assert "columns drifted: age" in run_script(shifted, model, tmp_path, **elsewhere)
    for path in (found[1], *shifted.glob("plots/*"), shifted / "report/columns.json", shifted / "metrics.json"):
        other = (tmp_path / path.relative_to(shifted)).read_bytes()
        assert hashlib.md5(other).hexdigest() == hashlib.md5(path.read_bytes()).hexdigest(), first_difference(
            path.read_bytes(), other
        )
    assert not list((tmp_path / "home").rglob("*evidently*"))


def first_difference(one: bytes, other: bytes) -> str:
    place = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return f"from byte {place}: {one[place - 80 : place + 80]!r} and {other[place - 80 : place + 80]!r}"


class Loads(HTMLParser):
    """Collect what a browser would load, except links."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        loading = ("src", "srcset", "data", "poster") if tag != "link" else ("href",)
        self.found += [value for name, value in attrs if name in loading]


def test_the_page_loads_nothing_over_the_network(found):
    text = found[1].read_text()
    loads = Loads()
    loads.feed(text)
    assert len(loads.found) == 1 and loads.found[0].startswith("data:image/png;base64,")
    style = "".join(re.findall(r"<style.*?</style>", text, re.DOTALL))
    assert "@import" not in style and all(url.startswith("data:") for url in re.findall(r"url\(([^)]*)", style))


def test_shifted_scores_are_prediction_drift(tmp_path, model):
    rows = np.random.default_rng(1).integers(60, 90, USERS).astype(float)
    moved = week(2, days_since_last_payment=rows, days_since_first_payment=rows)
    metrics, page = run(write_drops(tmp_path, [week(0), week(1), moved]), model)
    assert metrics["prediction_drifted"] and metrics["prediction_distance"] > metrics["prediction_threshold"]
    assert "The candidate&#x27;s scores drifted: wasserstein distance" in page.read_text()
    assert "churn_probability" not in metrics["drifted_columns"], "the score is not a feature"


def test_a_shifted_churn_rate_is_target_drift(tmp_path, model):
    folder = write_drops(tmp_path, [week(0), week(1)], AS_OF | {"2024-02-18": (405, 1000)})
    metrics, page = run(folder, model)
    assert metrics["target_drifted"] and metrics["churn_rate_before"] == pytest.approx(0.305)
    alarm = "Churn rate 40.5% as of 2024-02-18, 30.5% at earlier dates."
    assert metrics["alarms"] == [alarm] and alarm in page.read_text()


def test_a_single_drop_has_no_drift_and_a_reason(tmp_path, model):
    metrics, page = run(write_drops(tmp_path, [week(0)]), model)
    absent = {"drift_share", "drift_detected", "drifted_columns", "prediction_distance", "prediction_drifted"}
    assert not absent & metrics.keys()
    assert metrics["reference_drops"] == [] and metrics["current_drop"] == page.stem == "2024-01-07"
    assert "no earlier drop" in metrics["reason"] and metrics["reason"] in page.read_text()
    assert json.loads((tmp_path / "plots/history.json").read_text()) == []


def test_the_report_of_an_older_drop_is_replaced(tmp_path, model):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "2023-12-31.html").write_text("older")
    _, page = run(write_drops(tmp_path, [week(0)]), model)
    assert page.name == "2024-01-07.html"


@pytest.mark.parametrize("name", [pa.Table.combine_chunks, with_text_ids], ids=["whole numbers", "text"])
def test_large_drops_are_sampled_with_the_same_users_every_week(tmp_path, model, name):
    weeks = [name(week(0)), name(week(1, 2 * USERS))]
    metrics, page = run(write_drops(tmp_path, weeks), model, sample_users=700)
    assert metrics["sampled_part"] == 4
    assert "Sampled: one user in 4, by a hash of the user, the same users in every drop." in page.read_text()
    ids = [one["user_id"] for one in weeks]
    sampled = [one.filter(hash_users(one) % np.uint64(4) == 0).to_pylist() for one in ids]
    assert (metrics["reference_rows"], metrics["current_rows"]) == tuple(map(len, sampled))
    assert set(sampled[0]) == set(sampled[1]) & set(ids[0].to_pylist()), "the sample does not depend on the week"
    rows = sample_drop(tmp_path / "features" / str(FIRST) / "churn_features.parquet", FIRST, 300).rows
    assert rows.equals(weeks[0].filter(hash_users(ids[0]) % np.uint64(4) == 0))


def test_missing_damaged_and_differing_features_are_reported(tmp_path, model):
    folder = write_drops(tmp_path, [week(0), week(1)])
    newer = folder / "features" / "2024-01-14" / "churn_features.parquet"
    pq.write_table(week(1).drop_columns("age"), newer)
    with pytest.raises(UserError, match=r"2024-01-14.*other columns than the drops before it: .*age"):
        run(folder, model)
    pq.write_table(with_text_ids(week(1)), newer)
    with pytest.raises(
        UserError, match=r"are text in drop 2024-01-14, but whole numbers .* all drops again: dvc repro"
    ):
        run(folder, model)
    newer.write_bytes(b"half a fi")
    with pytest.raises(UserError, match=r"2024-01-14.*cannot be read.*dvc repro build_features@2024-01-14"):
        run(folder, model)
    newer.unlink()
    with pytest.raises(UserError, match=r"2024-01-14.*is missing"):
        run(folder, model)
    assert not (folder / "drift" / "2024-01-14").exists()
    assert not (folder / "metrics.json").exists() and not (folder / "report").exists()


def test_the_target_of_this_week_is_no_alarm_of_earlier_weeks(tmp_path, model):
    folder = write_drops(tmp_path, [week(0), week(1), week(2)], AS_OF | {"2024-02-18": (405, 1000)})
    metrics, _ = run(folder, model)
    assert len(metrics["alarms"]) == 1
    assert [one["alarms"] for one in json.loads((tmp_path / "plots/history.json").read_text())] == [0, 1]


def test_a_correction_changes_the_weeks_that_are_compared_with_it_and_no_other(tmp_path):
    """Twelve weeks, of which the second is corrected: a sample of the eleventh has no row of it."""

    def made(number):
        day = str(FIRST + timedelta(weeks=number))
        return [(tmp_path / path).read_bytes() for path in (f"measures/{day}.json", f"drift/{day}/rows.parquet")]

    write_drops(tmp_path, [week(number, 300) for number in range(12)])
    measure_drops(tmp_path)
    before = [made(number) for number in range(12)]
    corrected = week(1, 300, age=older(users=300))
    pq.write_table(corrected, tmp_path / "features" / str(FIRST + timedelta(weeks=1)) / "churn_features.parquet")
    measure_drops(tmp_path)
    after = [made(number) for number in range(12)]
    assert [one != other for one, other in zip(before, after, strict=True)] == [1 <= week <= 9 for week in range(12)]
    assert before[10] == after[10], "so DVC runs no stage after it"
