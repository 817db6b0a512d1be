"""Segments of users, and what the model card says about them."""

import numpy as np
import pyarrow as pa
import pytest

from churn.evaluation.differences import describe_differences, rate_interval
from churn.evaluation.metrics import calibration_error, chance_calibration_error
from churn.evaluation.segments import find_segments, measure_segments

NAN = float("nan")
ALL = {"roc_auc": 0.8, "users": 10_000, "churn_rate": 0.3, "mean_prediction": 0.3}


def table(**columns: list[float | None]) -> pa.Table:
    users = len(next(iter(columns.values())))
    known = {"card_type": ["GOLD"] * users, "days_since_first_payment": [50.0] * users}
    return pa.table(known | {name: pa.array(values, pa.float64()) for name, values in columns.items()})


def members(rows: pa.Table) -> dict[str, list[int]]:
    """Return the numbers of the rows in each segment by age and gender."""
    masks = find_segments(rows)
    return {name: np.flatnonzero(mask).tolist() for name, mask in masks.items() if name.startswith(("age", "gender"))}


def segment(name: str, **values: float | None) -> dict:
    """Return a segment that does not differ from all users but for some values."""
    usual = {"users": 1000, "churn_rate": 0.3, "mean_prediction": 0.3}
    return {"segment": name} | usual | {"roc_auc": 0.8, "roc_auc_low": 0.77, "roc_auc_high": 0.83} | values


def test_age_bands_and_genders_are_segments_and_unknown_ones_too():
    rows = table(
        age=[29.9, 30, 44, 45, 59.5, 60, 101, None, NAN, 0], gender_is_female=[1, 0, 1, None, NAN, 0, 0, 1, 1, 1]
    )
    assert members(rows) == {
        "age: under 30": [0, 9],
        "age: 30 to 44": [1, 2],
        "age: 45 to 59": [3, 4],
        "age: 60 and over": [5, 6],
        "age: unknown": [7, 8],
        "gender: female": [0, 2, 7, 8, 9],
        "gender: male": [1, 5, 6],
        "gender: unknown": [3, 4],
    }


def test_bands_without_users_and_columns_that_are_missing_are_left_out():
    assert members(table(age=[31, 32])) == {"age: 30 to 44": [0, 1]}
    assert members(table(gender_is_female=[None, None])) == {"gender: unknown": [0, 1]}
    assert members(table(payments_sum=[1, 2])) == {}


def test_age_and_gender_get_intervals_like_other_segments():
    generator = np.random.default_rng(1)
    rows = table(age=[20.0, 50.0] * 500, gender_is_female=[1.0] * 1000)
    rows = rows.append_column("label", pa.array(generator.integers(0, 2, 1000)))
    measured = {one["segment"]: one for one in measure_segments(rows, generator.random(1000), 0.5)}
    for name, users in (("age: under 30", 500), ("age: 45 to 59", 500), ("gender: female", 1000)):
        assert measured[name]["users"] == users
        assert measured[name]["roc_auc_low"] < measured[name]["roc_auc"] < measured[name]["roc_auc_high"]


@pytest.mark.parametrize("users", [33, 358, 5000])
def test_the_calibration_error_by_chance_is_that_of_simulated_calibrated_models(users):
    generator = np.random.default_rng(users)
    probability = generator.beta(1.5, 3.5, users)
    errors = [calibration_error((generator.random(users) < probability).astype(int), probability) for _ in range(2000)]
    # The mean of the simulations has a standard error of 1% at most.
    assert chance_calibration_error(probability) == pytest.approx(np.mean(errors), rel=0.04)


def test_sure_predictions_have_no_calibration_error_by_chance():
    assert chance_calibration_error(np.array([0.0, 1.0, 1.0])) == 0
    # Groups of one user: sqrt(2 / pi) * sqrt(p * (1 - p)).
    assert chance_calibration_error(np.array([0.5, 0.5])) == pytest.approx(0.3989, abs=1e-4)


def test_the_interval_of_a_rate_is_wilson_s():
    # Published values: R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    assert rate_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert rate_interval(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert rate_interval(0.0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert rate_interval(1 / 29, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)


def test_segments_within_chance_are_not_named():
    same = [segment("users: old"), segment("age: unknown", users=10, roc_auc=None, churn_rate=0.1)]
    assert describe_differences(same, ALL).startswith("No segment differs by more than chance")


def test_worse_and_better_ranked_segments_are_named_with_their_intervals():
    found = [
        segment("users: new", roc_auc=0.7, roc_auc_low=0.65, roc_auc_high=0.75),
        segment("card_type: a*b", roc_auc=0.9, roc_auc_low=0.85, roc_auc_high=0.95),
        segment("users: old"),
    ]
    text = describe_differences(found, ALL)
    worse, better, _, meaning = text.splitlines()
    assert (
        worse
        == "- Ranked worse (the interval is below the ROC AUC of all users, 0.800): users: new (0.700, 0.650 to 0.750)."
    )
    assert better.endswith("card_type: a\\*b (0.900, 0.850 to 0.950).")
    assert "a list misses more of the churners" in meaning and "top decile" not in meaning
    assert "age bands or genders" not in meaning and "Of the 6 comparisons" in meaning


def test_too_much_and_too_little_predicted_churn_is_named_with_its_consequence():
    found = [
        segment("age: under 30", mean_prediction=0.34),
        segment("gender: male", mean_prediction=0.26),
        segment("users: old", mean_prediction=0.32),
    ]
    much, little, _, meaning = describe_differences(found, ALL).splitlines()
    low, high = (f"{bound:.1%}" for bound in rate_interval(0.3, 1000))
    assert much.startswith("- Too much") and much.endswith(
        f": age: under 30 (34.0% predicted, 30.0% churned, {low} to {high})."
    )
    assert little.startswith("- Too little") and "gender: male (26.0% predicted" in little
    assert "users: old" not in much + little
    assert "too many users of the segments with too much churn predicted, and too few of those" in meaning
    assert "age or gender" in meaning and "for all users together" not in meaning


def test_too_little_predicted_churn_alone_and_of_all_users_is_said():
    found = [segment("users: new", mean_prediction=0.2)]
    meaning = describe_differences(found, ALL | {"mean_prediction": 0.25}).splitlines()[-1]
    assert "will contain too few users of the segments with too little churn predicted." in meaning
    assert "predicts too little churn for all users together (25.0%, churn rate 30.0%)" in meaning
    assert "age bands or genders" not in meaning


def test_of_many_segments_the_largest_are_named():
    found = [segment(f"card_type: {users}", users=users, mean_prediction=0.5) for users in range(1000, 1013)]
    much = describe_differences(found, ALL).splitlines()[0]
    assert much.count("predicted,") == 10 and much.endswith("; and 3 smaller ones.")
    assert "1012 (" in much and "1002 (" not in much
