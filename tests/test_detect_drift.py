"""Drift of the newest drop against those before it: found, named, and written the same every time."""

import json
import os
import re
import subprocess
import sys
import warnings
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from churn.command import UserError
from churn.params import read_section
from detect_drift import choose_methods, compare_drops, detect_drift

ROOT = Path(__file__).parents[1]
PARAMS = read_section(ROOT / "params.yaml", "detect_drift")
FIRST, USERS = date(2024, 1, 7), 1200


@pytest.fixture(scope="module", autouse=True)
def imported_evidently():
    """Import once, aside: Evidently's own modules use parts of Litestar and Pydantic that these deprecate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import evidently.presets  # noqa: F401


def week(number: int, users: int = USERS, **planted: np.ndarray) -> pa.Table:
    """One week's features: noise differs by week, and `planted` columns replace or join them."""
    random = np.random.default_rng(number)
    columns = {
        "payments_sum": random.lognormal(5, 1.2, users),
        "payments_last_30d": random.poisson(random.gamma(1, 3, users)).astype(float),
        "avg_discount": np.where(random.random(users) < 0.3, np.nan, random.random(users)),
        "has_investment": (random.random(users) < 0.3).astype(float),
        "age": random.normal(40, 10, users).round(),
        "recency_ml_days": np.full(users, np.nan),
    } | planted
    day = pa.array([FIRST + timedelta(weeks=number)] * users)
    features = {name: pa.array(values, from_pandas=True, type=pa.float64()) for name, values in columns.items()}
    return pa.table({"user_id": pa.array(range(users)), "as_of_date": day, **features})


def write_drops(folder: Path, weeks: list[pa.Table]) -> Path:
    for table in weeks:
        target = folder / "features" / str(table["as_of_date"][0])
        target.mkdir(parents=True)
        pq.write_table(table, target / "churn_features.parquet")
    names = [str(table["as_of_date"][0]) for table in weeks]
    (folder / "drops.yaml").write_text(yaml.safe_dump({"drops": names}))
    return folder


def run(folder: Path, **changed) -> tuple[dict, Path]:
    report = folder / "report"
    detect_drift(folder / "features", folder / "drops.yaml", folder / "metrics.json", report, PARAMS | changed)
    (page,) = report.iterdir()
    return json.loads((folder / "metrics.json").read_text()), page


def compare(current: pa.Table, *earlier: pa.Table, **changed) -> dict:
    keys = ["user_id", "as_of_date"]
    content, _ = compare_drops(
        current.drop_columns(keys), pa.concat_tables(table.drop_columns(keys) for table in earlier), PARAMS | changed
    )
    return content


@pytest.fixture(scope="module")
def shifted(tmp_path_factory) -> Path:
    """Ten weeks, the newest with users ten years older, and a folder that no drop names."""
    older = np.random.default_rng(99).normal(50, 10, USERS).round()
    folder = write_drops(tmp_path_factory.mktemp("shifted"), [*map(week, range(9)), week(9, age=older)])
    (folder / "features" / "2023-01-01").mkdir()
    (folder / "features" / "2023-01-01" / "churn_features.parquet").write_bytes(b"stray")
    return folder


@pytest.fixture(scope="module")
def found(shifted) -> tuple[dict, Path]:
    return run(shifted)


def test_a_planted_shift_is_caught_and_named(found):
    metrics, _ = found
    assert metrics["drifted_columns"] == ["age"]
    assert metrics["columns"]["age"] == {
        "drifted": True,
        "kind": "numerical",
        "method": "wasserstein",
        # The mean moved by one standard deviation.
        "statistic": pytest.approx(1.0, abs=0.1),
        "threshold": 0.1,
    }
    assert metrics["drift_share"] == pytest.approx(1 / 5) and metrics["drift_detected"] is False


def test_the_newest_drop_meets_the_eight_before_it(found):
    metrics, page = found
    assert metrics["current_drop"] == page.stem == "2024-03-10"
    assert metrics["reference_drops"] == [str(FIRST + timedelta(weeks=number)) for number in range(1, 9)]
    assert (metrics["current_rows"], metrics["reference_rows"]) == (USERS, 8 * USERS)


def test_a_column_without_values_is_left_out_and_named(found):
    metrics, page = found
    assert metrics["columns_left_out"] == {"recency_ml_days": "no value in any of these drops"}
    assert "Left out, no value in any of these drops: recency_ml_days." in page.read_text()


def test_the_page_says_what_evidently_found(found):
    metrics, page = found
    text = page.read_text()
    assert "1 of 5 columns drifted: age" in text and "no drift of the whole" in text
    counted = re.search(r"Drift is detected for [\d.]+% of columns \((\d+) out of (\d+)\)", text)
    assert [int(number) for number in counted.groups()] == [1, len(metrics["columns"])]


def test_another_process_hash_seed_folder_and_clock_write_the_same_bytes(shifted, found, tmp_path):
    (tmp_path / "home").mkdir()
    names = {name: shifted / path for name, path in {"--features": "features", "--drops": "drops.yaml"}.items()}
    names |= {"--metrics": tmp_path / "metrics.json", "--report": tmp_path / "elsewhere", "--params": "params.yaml"}
    words = [str(word) for pair in names.items() for word in pair]
    env = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Pacific/Kiritimati", "HOME": str(tmp_path / "home")}
    command = [sys.executable, ROOT / "scripts" / "detect_drift.py", *words]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert "1 of 5 columns drifted: age" in done.stdout
    assert (tmp_path / "elsewhere" / found[1].name).read_bytes() == found[1].read_bytes()
    assert (tmp_path / "metrics.json").read_bytes() == (shifted / "metrics.json").read_bytes()
    assert not list((tmp_path / "home").rglob("*evidently*"))


class Loads(HTMLParser):
    """Collects what a browser would load, links aside."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        loading = ("src", "srcset", "data", "poster") if tag != "link" else ("href",)
        self.found += [value for name, value in attrs if name in loading]


def test_the_page_loads_nothing_from_a_network(found):
    text = found[1].read_text()
    loads = Loads()
    loads.feed(text)
    assert loads.found == []
    style = "".join(re.findall(r"<style.*?</style>", text, re.DOTALL))
    assert "@import" not in style and all(url.startswith("data:") for url in re.findall(r"url\(([^)]*)", style))


def test_quiet_weeks_raise_no_alarm():
    for newest in range(9, 12):
        metrics = compare(week(newest), *map(week, range(newest - 8, newest)))
        assert metrics["drifted_columns"] == [] and metrics["drift_detected"] is False


def test_drift_of_most_columns_is_drift_of_the_whole():
    rows = np.arange(USERS, dtype=float)
    metrics = compare(week(2, payments_sum=rows, avg_discount=rows, age=rows), week(0), week(1))
    assert metrics["drift_share"] == pytest.approx(3 / 5) and metrics["drift_detected"] is True


def test_a_flag_that_turns_is_caught():
    metrics = compare(week(1, has_investment=np.arange(USERS) % 10 < 6), week(0))
    assert metrics["drifted_columns"] == ["has_investment"]
    assert metrics["columns"]["has_investment"]["method"] == "jensenshannon"


def test_a_column_that_lost_its_values_is_left_out_with_the_reason():
    metrics = compare(week(1, age=np.full(USERS, np.nan)), week(0))
    assert metrics["columns_left_out"]["age"] == "no value in the newest drop" and "age" not in metrics["columns"]


@pytest.mark.parametrize("users", [1, 5])
def test_a_handful_of_users_is_measured(users):
    assert compare(week(1, users), week(0, users))["current_rows"] == users


def test_an_empty_newest_drop_has_no_drift_and_says_why():
    metrics = compare(week(1).slice(0, 0), week(0))
    assert "drift_share" not in metrics and "no column has a value" in metrics["reason"]


def test_a_constant_column_is_measured():
    metrics = compare(week(1, age=np.full(USERS, 41.0)), week(0, age=np.full(USERS, 40.0)))
    assert metrics["drifted_columns"] == ["age"]


@pytest.mark.parametrize("method", ["wasserstein", "jensenshannon", "psi", "hellinger"])
def test_every_method_tells_a_shift_from_noise(method):
    categorical = "psi" if method == "wasserstein" else method
    params = {"numerical_method": method, "categorical_method": categorical}
    older = np.random.default_rng(99).normal(50, 10, USERS).round()
    metrics = compare(week(2, age=older), week(0), week(1), **params)
    assert metrics["drifted_columns"] == ["age"]


def test_only_flags_are_categorical():
    table = pa.table({"flag": [0.0, None, 1.0], "count": [0.0, 1.0, 2.0]})
    kinds = {name: method["kind"] for name, method in choose_methods(table, table, PARAMS).items()}
    assert kinds == {"flag": "categorical", "count": "numerical"}


def test_one_drop_alone_has_no_drift_and_says_why(tmp_path):
    metrics, page = run(write_drops(tmp_path, [week(0)]))
    assert not {"drift_share", "drift_detected", "drifted_columns"} & metrics.keys()
    assert metrics["reference_drops"] == [] and metrics["current_drop"] == page.stem == "2024-01-07"
    assert "no earlier drop" in metrics["reason"] and metrics["reason"] in page.read_text()


def test_the_report_of_an_older_drop_gives_way(tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "2023-12-31.html").write_text("older")
    _, page = run(write_drops(tmp_path, [week(0)]))
    assert page.name == "2024-01-07.html"


def test_missing_damaged_and_differing_features_are_named(tmp_path):
    folder = write_drops(tmp_path, [week(0), week(1)])
    older = folder / "features" / "2024-01-07" / "churn_features.parquet"
    pq.write_table(week(0).drop_columns("age"), older)
    with pytest.raises(UserError, match=r"2024-01-07.*other columns than the newest drop: .*age"):
        run(folder)
    older.write_bytes(b"half a fi")
    with pytest.raises(UserError, match=r"2024-01-07.*cannot be read.*dvc repro build_features@2024-01-07"):
        run(folder)
    older.unlink()
    with pytest.raises(UserError, match=r"2024-01-07.*is missing"):
        run(folder)
    assert not (folder / "metrics.json").exists() and not (folder / "report").exists()
