"""Drift is measured whatever the columns are: constant, nearly constant, unknown, infinite, full of odd texts."""

import json
from pathlib import Path

import numpy as np
import pytest
from candidates import IGNORE_SOCKETS, shared_candidate
from drift_weeks import AS_OF, PARAMS, USERS, measure_drops, week, write_drops
from odd_values import EVIL, LONG, SHOWN, many

from churn.base.drops import read_drops
from churn.drift.distances import METHODS
from churn.drift.measures import CONSTANT
from churn.features.categories import MAX_CATEGORIES
from detect_drift import detect_drift

pytestmark = IGNORE_SOCKETS
CHANCE = np.random.default_rng(0)
NOISE = np.where(CHANCE.random(USERS) < 0.5, 0.1, 0.09999999999999999)
HUGE = 1e15 + CHANCE.integers(0, 50, USERS) / 8
WIDE = CHANCE.random(USERS)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return shared_candidate(tmp_path_factory).model


def run(folder: Path, model: Path, before: dict, now: dict, **changed) -> tuple[dict, str]:
    """Run both stages on two weeks with planted columns; return the newest week's records by column, and its page."""
    write_drops(folder, [week(0, **before), week(1, **now)], AS_OF)
    measure_drops(folder, **changed)
    newest = folder / "drift" / str(read_drops(folder / "drops.yaml")[-1])
    inputs = folder / "measures", folder / "drops.yaml", newest, folder / "training_set.json", model
    detect_drift(*inputs, *(folder / name for name in ("metrics.json", "report", "plots")), PARAMS | changed)
    (page,) = (folder / "report").glob("*.html")
    records = {record["column"]: record for record in json.loads((folder / "report/columns.json").read_text())}
    return records, page.read_text()


@pytest.mark.parametrize(
    ("before", "now", "left_out"),
    [
        (NOISE, NOISE[::-1], CONSTANT),
        (np.full(USERS, 0.1), np.full(USERS, 0.1), CONSTANT),
        (HUGE, HUGE[::-1], CONSTANT),
        (np.full(USERS, np.nan), np.full(USERS, np.nan), "no value in any of these drops"),
        (np.full(USERS, np.inf), WIDE, "no value in earlier drops"),
        (NOISE, WIDE, None),
        (WIDE, NOISE, None),
        (WIDE, np.where(WIDE < 0.1, np.inf, WIDE), None),
    ],
)
def test_every_column_is_measured_or_left_out_with_a_reason(tmp_path, model, before, now, left_out):
    records, page = run(tmp_path, model, {"age": before}, {"age": now})
    record = records["age"]
    assert record.get("left_out") == left_out
    assert ("statistic" in record) is (left_out is None)
    assert left_out is None or f"<td>{left_out}</td>" in page
    if left_out is None:
        assert np.isfinite(record["statistic"])


@pytest.mark.parametrize("method", METHODS)
def test_no_method_fails_on_a_column_that_is_nearly_constant_now(tmp_path, model, method):
    records, _ = run(tmp_path, model, {"age": WIDE}, {"age": NOISE}, numerical_method=method)
    assert records["age"]["drifted"]


def test_infinite_values_count_as_missing(tmp_path, model):
    infinite = np.where(WIDE < 0.25, -np.inf, WIDE)
    records, _ = run(tmp_path, model, {"age": WIDE}, {"age": infinite})
    assert records["age"]["missing_share"] == pytest.approx(np.isinf(infinite).mean(), abs=1e-6)


def test_odd_names_are_shown_and_run_nothing(tmp_path, model):
    cards = np.array(["GOLD", "BLACK"] * (USERS // 2), dtype=object)
    odd = cards.copy()
    odd[:400:4], odd[1:400:4] = EVIL, LONG
    records, page = run(tmp_path / "odd", model, {"card_type": cards}, {"card_type": odd})
    _, quiet = run(tmp_path / "quiet", model, {"card_type": cards}, {"card_type": cards})
    assert records["card_type"]["new_categories"] == {SHOWN: 0.083333, LONG[:60]: 0.083333}
    alarms = json.loads((tmp_path / "odd/metrics.json").read_text())["alarms"]
    assert f"card_type has a new category, {SHOWN}: 8.3% of the users." in alarms
    assert LONG[:61] not in page and "<b>x" not in page and "<!channel" not in page
    assert page.count("</script") == quiet.count("</script"), "no name ended a script"
    assert page.index("$^$ | &lt; b&gt;x&lt; /b&gt;"), "in the table"


def test_thousands_of_categories_are_merged(tmp_path, model):
    records, page = run(tmp_path, model, {"card_type": many(USERS, 20)}, {"card_type": many(USERS, 600)})
    new = records["card_type"]["new_categories"]
    assert len(new) == MAX_CATEGORIES + 1
    assert new["other (530 categories)"] == pytest.approx(530 / USERS, abs=1e-6)
    assert page.count("type 5") < 100


def test_equal_users_have_no_drift_and_equal_scores_are_left_out(tmp_path, model):
    one_user = {name: np.full(USERS, 5.0) for name in week(0).column_names[3:]} | {"card_type": ["GOLD"] * USERS}
    records, page = run(tmp_path / "all", model, one_user, one_user)
    assert {record["left_out"] for record in records.values()} == {CONSTANT}
    assert "Drift was not measured: no column has a value" in page
    # The model does not use this column.
    one_differs = one_user | {"mau_ml_1": WIDE}
    records, _ = run(tmp_path / "one", model, one_differs, one_differs)
    assert records["mau_ml_1"]["statistic"] == 0
    assert "prediction_distance" not in json.loads((tmp_path / "one/metrics.json").read_text())
