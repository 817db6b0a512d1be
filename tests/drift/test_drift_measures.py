"""Comparison of a week's features with earlier weeks: distances, missing values, new categories, alarms."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from drift_weeks import PARAMS, USERS, older, week

from churn.drift.distances import METHODS
from churn.drift.limits import apply_limit, apply_limits, find_alarms
from churn.drift.measures import compare_column, compare_drops


def compare(current: pa.Table, *earlier: pa.Table, **changed) -> dict:
    keys = ["user_id", "as_of_date"]
    tables = [table.drop_columns(keys) for table in (current, *earlier)]
    params = PARAMS | changed
    return apply_limits(compare_drops(tables[0], pa.concat_tables(tables[1:]), params), params)


def drifted(found: dict) -> list[str]:
    return [record["column"] for record in found["columns"] if record.get("drifted")]


def record_of(found: dict, name: str) -> dict:
    return next(record for record in found["columns"] if record["column"] == name)


def test_quiet_weeks_raise_no_alarm():
    for newest in range(9, 12):
        quiet = compare(week(newest), *map(week, range(newest - 8, newest)))
        assert find_alarms(quiet, PARAMS) == [] and quiet["drift_share"] == 0


def test_drift_of_most_columns_is_dataset_drift():
    rows = np.arange(USERS, dtype=float)
    names = ["age", "active_days", "payments_sum", "days_since_last_payment", "days_since_first_payment"]
    whole = compare(week(2, **dict.fromkeys(names, rows)), week(0), week(1))
    assert whole["drift_share"] == pytest.approx(5 / 7), "the constant column and the unknown one do not count"
    assert find_alarms(whole, PARAMS)[0] == "71% of the columns drifted; the limit is 50%."


def test_a_shifted_flag_is_found():
    flags = pa.chunked_array([np.arange(USERS) % 10 < share for share in (6, 3)]).cast(pa.float64())
    record = apply_limit(compare_column("flag", flags.slice(0, USERS), flags.slice(USERS), PARAMS), PARAMS)
    assert record["drifted"] and record["kind"] == "categorical" and record["method"] == "jensenshannon"


def test_more_missing_values_raise_an_alarm_even_if_known_values_did_not_drift():
    ages = week(1)["age"].to_numpy(zero_copy_only=False).copy()
    ages[: USERS // 5] = np.nan
    found = compare(week(1, age=ages), week(0))
    assert drifted(found) == []
    (alarm,) = find_alarms(found, PARAMS)
    share = np.isnan(ages).mean()
    assert alarm.startswith(f"age is missing for {share:.1%} of the users (earlier drops: ")


def test_a_column_that_lost_its_values_is_left_out_and_raises_an_alarm():
    found = compare(week(1, age=np.full(USERS, np.nan)), week(0))
    assert record_of(found, "age")["left_out"] == "no value in the newest drop"
    assert find_alarms(found, PARAMS)[0].startswith("age is missing for 100.0% of the users")


def test_a_new_category_raises_an_alarm_from_the_threshold_on():
    cards = np.array(["GOLD", "BLACK"] * (USERS // 2), dtype=object)
    cards[:3] = "TITANIUM"
    found = compare(week(1, card_type=cards), week(0))
    assert record_of(found, "card_type")["new_categories"] == {"TITANIUM": 3 / USERS}
    assert "card_type has a new category, TITANIUM: 0.2% of the users." in find_alarms(found, PARAMS)
    assert not any("TITANIUM" in alarm for alarm in find_alarms(found, PARAMS | {"new_category_threshold": 0.01}))


@pytest.mark.parametrize("users", [1, 5])
def test_a_few_users_are_enough_to_measure(users):
    assert compare(week(1, users), week(0, users))["rows"] == users


def test_an_empty_newest_drop_has_no_drift_and_a_reason():
    found = compare(week(1).slice(0, 0), week(0))
    assert "drift_share" not in found and "no column has a value" in found["reason"]


def test_a_constant_column_that_changed_is_measured():
    assert drifted(compare(week(1, age=np.full(USERS, 41.0)), week(0, age=np.full(USERS, 40.0)))) == ["age"]


@pytest.mark.parametrize("method", ["wasserstein", "jensenshannon", "psi", "hellinger"])
def test_every_method_distinguishes_a_shift_from_noise(method):
    categorical = "psi" if method == "wasserstein" else method
    params = {"numerical_method": method, "categorical_method": categorical}
    # Some of these methods report drift in the irregular balances of two normal weeks.
    columns = ["user_id", "as_of_date", "age", "card_type", "active_days"]
    weeks = [table.select(columns) for table in (week(2, age=older()), week(0), week(1))]
    assert drifted(compare(*weeks, **params)) == ["age"]


def test_only_text_and_flags_are_categorical():
    flags, counts = (pa.chunked_array([values]) for values in ([0.0, None, 1.0], [0.0, 1.0, 2.0]))
    text = pa.chunked_array([["GOLD", None, "BLACK"]])
    kinds = [compare_column("one", values, values, PARAMS)["kind"] for values in (flags, counts, text)]
    assert kinds == ["categorical", "numerical", "categorical"]


CHANCE = np.random.default_rng(0)
COLUMNS = {
    "many numbers": (CHANCE.normal(1, 2, 900), CHANCE.normal(0, 2, 4000)),
    "few numbers": (CHANCE.integers(0, 7, 900).astype(float), CHANCE.integers(0, 9, 4000).astype(float)),
    "flag": (CHANCE.integers(0, 2, 900).astype(float), (CHANCE.random(4000) < 0.3).astype(float)),
    "text": (CHANCE.choice(["a", "b", "d"], 900).astype(object), CHANCE.choice(["a", "b", "c"], 4000).astype(object)),
    "numbers that were one": (CHANCE.normal(0, 1, 50), np.full(60, 3.0)),
}


CATEGORICAL = ("flag", "text")


@pytest.mark.parametrize(
    ("method", "column"),
    [(one, column) for one in METHODS for column in COLUMNS if one != "wasserstein" or column not in CATEGORICAL],
)
def test_distances_are_those_of_evidently(method, column):
    from evidently.legacy.calculations.stattests.registry import get_stattest
    from evidently.legacy.core import ColumnType

    kind = ColumnType.Categorical if column in CATEGORICAL else ColumnType.Numerical
    current, reference = map(pd.Series, COLUMNS[column])
    expected = get_stattest(reference, current, kind, method)(reference, current, kind, threshold=None).drift_score
    assert METHODS[method](*COLUMNS[column]) == pytest.approx(expected, rel=1e-9)
