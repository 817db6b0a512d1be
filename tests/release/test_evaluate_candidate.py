"""What a candidate must pass to be promoted."""

import numpy as np
import pyarrow as pa
import pytest
import yaml
from conftest import ROOT

from churn.evaluation.delong import gain_interval
from churn.evaluation.metrics import chance_calibration_error, roc_auc
from churn.evaluation.segments import find_segments, measure_segments
from churn.release.gates import decide, limit_segment_loss, percent

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())["evaluate_candidate"]
WITHOUT_CONFIDENCE = PARAMS | {"confidence": None}
USERS = 4000


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """Return labelled rows; `signal` is the log-odds of churn."""
    generator = np.random.default_rng(3)
    signal = generator.normal(-1, 1.5, USERS)
    return pa.table(
        {
            "card_type": pa.array(np.array(["GOLD", "BLACK", None])[np.arange(USERS) % 3]),
            "days_since_first_payment": generator.integers(0, 90, USERS).astype(float),
            "signal": signal,
            "label": (generator.random(USERS) < sigmoid(signal)).astype(np.int32),
        }
    )


def sigmoid(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))


def blurred(rows: pa.Table, noise: float, seed: int = 1) -> np.ndarray:
    """Return the true probability, blurred."""
    return sigmoid(rows["signal"].to_numpy() + np.random.default_rng(seed).normal(0, noise, len(rows)))


def failed(decision: dict) -> list[str]:
    return [gate["gate"] for gate in decision["gates"] if not gate["passed"]]


def test_the_first_good_candidate_is_promoted(rows):
    decision = decide(rows, blurred(rows, 0), None, PARAMS)
    assert decision["decision"] == "promote" and decision["gain"] is None
    assert decision["reason"].startswith("There is no Production yet. The candidate's ROC AUC is 0.8")


def test_a_gain_is_promoted_and_a_loss_is_not(rows):
    better = decide(rows, blurred(rows, 0.1), blurred(rows, 1), PARAMS)
    assert better["decision"] == "promote" and failed(better) == []
    assert 0.005 < better["gain_low"] < better["gain"] < better["gain_high"]
    assert "The gain, 0.0" in better["reason"] and "reaches the required 0.005" in better["reason"]
    worse = decide(rows, blurred(rows, 1), blurred(rows, 0.1), PARAMS)
    assert worse["decision"] == "skip" and worse["gain"] == pytest.approx(-better["gain"])
    assert "min_delta" in failed(worse) and "is below the required 0.005" in worse["reason"]


def test_a_gain_that_may_be_chance_is_not_enough(rows):
    candidate, production = blurred(rows, 0.4, seed=4), blurred(rows, 0.41, seed=5)
    if roc_auc(rows["label"].to_numpy(), candidate) < roc_auc(rows["label"].to_numpy(), production):
        candidate, production = production, candidate
    plain = decide(rows, candidate, production, WITHOUT_CONFIDENCE | {"min_delta": 0.0})
    assert plain["decision"] == "promote" and plain["confidence"] == 0.95 and "(95% interval" in plain["reason"]
    doubtful = decide(rows, candidate, production, PARAMS | {"min_delta": 0.0})
    assert failed(doubtful) == ["confidence"] and "is not above the required 0" in doubtful["reason"]
    assert doubtful["gain_low"] < plain["gain_low"] and doubtful["gain_low"] < 0 < doubtful["gain"]


def test_a_year_of_candidates_shares_the_error_of_the_confidence(rows):
    label, candidate, production = rows["label"].to_numpy(), blurred(rows, 0), blurred(rows, 1)
    for judged, part in enumerate((1 / 2, 1 / 6, 1 / 12)):
        decision = decide(rows, candidate, production, PARAMS, judged)
        # On one side 5% of a year, shared by 52 holdouts, then by the candidates of a holdout.
        level = 1 - 2 * 0.05 / 52 * part
        assert decision["confidence"] == pytest.approx(level, abs=1e-15)
        expected = gain_interval(label, candidate, production, level)
        assert (decision["gain"], decision["gain_low"], decision["gain_high"]) == pytest.approx(expected)
        assert decision["candidates_judged"] == judged and failed(decision) == []
    shares = [1 - decide(rows, candidate, None, PARAMS, judged)["confidence"] for judged in range(1000)]
    assert sum(shares) * 52 == pytest.approx(1 - PARAMS["confidence"], rel=2e-3)


def test_the_reason_says_how_many_candidates_the_holdout_has_judged(rows):
    candidate, production = blurred(rows, 0), blurred(rows, 1)
    reasons = [decide(rows, candidate, production, PARAMS, judged)["reason"] for judged in (0, 1, 2)]
    assert "(99.904% interval +0." in reasons[0] and "judged" not in reasons[0]
    assert "(99.968% interval" in reasons[1] and "This holdout has judged 1 candidate before, so the" in reasons[1]
    assert "This holdout has judged 2 candidates before, so the interval is wider." in reasons[2]
    assert "judged" not in decide(rows, candidate, production, WITHOUT_CONFIDENCE, 2)["reason"]


def test_very_many_candidates_and_the_highest_confidence_have_an_interval(rows):
    params = PARAMS | {"confidence": 1 - 1e-9, "comparisons_per_year": 366}
    decision = decide(rows, blurred(rows, 0), blurred(rows, 1), params, 100_000)
    assert decision["confidence"] < 1 and np.isfinite(decision["gain_low"])


@pytest.mark.parametrize(
    ("confidence", "shown"),
    [(0.5, "50%"), (0.9, "90%"), (0.95, "95%"), (0.975, "97.5%"), (0.99, "99%"), (1 - 1e-3 / 3, "99.967%")],
)
def test_a_level_is_shown_with_the_digits_it_needs(confidence, shown):
    assert percent(confidence) == shown


def test_a_model_that_hardly_ranks_fails_without_production_too(rows):
    decision = decide(rows, np.random.default_rng(1).random(USERS), None, PARAMS | {"max_ece": 1.0})
    assert failed(decision) == ["min_roc_auc"]
    assert "The candidate's ROC AUC, 0.5" in decision["reason"] or "ROC AUC, 0.4" in decision["reason"]


def test_uncalibrated_probabilities_fail(rows):
    decision = decide(rows, blurred(rows, 0) * 0.5, None, PARAMS)
    assert failed(decision) == ["max_ece"] and "exceeds the allowed 0.1" in decision["reason"]
    assert "0.1 and the 0.0" in decision["reason"] and "chance alone makes with 4,000 users" in decision["reason"]


def test_few_users_do_not_make_a_calibrated_model_fail(rows):
    """With 40 users, chance alone makes a calibration error above 0.1; an error far beyond it still fails."""
    few = rows.slice(0, 40)
    good = decide(few, blurred(few, 0), None, PARAMS)
    (gate,) = [gate for gate in good["gates"] if gate["gate"] == "max_ece"]
    assert gate["passed"] and 0.1 < gate["value"] < gate["limit"]
    assert gate["limit"] == pytest.approx(0.1 + chance_calibration_error(blurred(few, 0)))
    bad = decide(few, 1 - blurred(few, 0), None, PARAMS | {"min_roc_auc": 0.0})
    assert failed(bad) == ["max_ece"]


def test_a_loss_in_one_segment_fails_despite_the_overall_gain(rows):
    gold = find_segments(rows)["card_type: GOLD"]
    candidate, production = np.where(gold, blurred(rows, 4), blurred(rows, 0)), blurred(rows, 2.2, seed=2)
    decision = decide(rows, candidate, production, PARAMS | {"max_ece": 1.0})
    assert decision["gain"] > 0.005
    assert failed(decision) == ["max_segment_loss"]
    # Five segments share the error of 5%: each interval has the level 99%.
    label = rows["label"].to_numpy()
    loss, low, high = gain_interval(label[gold], production[gold], candidate[gold], 0.99)
    expected = f"(card_type: GOLD), {loss:.4f} (99% interval {low:+.4f} to {high:+.4f}), exceeds the allowed 0.05."
    assert expected in decision["reason"]
    assert decision["gates"][-1]["value"] == pytest.approx(loss)


def test_a_loss_in_a_segment_that_may_be_chance_passes(rows):
    """Both models are equally good everywhere, but with so few users one segment loses 0.1 by chance."""
    few = rows.slice(0, 700)
    gate = limit_segment_loss(few, blurred(few, 2, seed=150), blurred(few, 2, seed=50), 0.05)
    assert gate.value > 0.09 and gate.passed
    assert "(card_type: BLACK)" in gate.message and "exceeds the allowed 0.05, but may be chance." in gate.message


def test_a_loss_beyond_chance_is_named_rather_than_a_larger_one_by_chance(rows):
    label, gold = rows["label"].to_numpy(), np.arange(USERS) < 3800
    table = rows.set_column(0, "card_type", pa.array(np.where(gold, "GOLD", "BLACK")))
    production = np.where(gold, blurred(rows, 0.2), blurred(rows, 3))
    candidate = np.where(gold, blurred(rows, 0.8, seed=2), blurred(rows, 3, seed=81))
    by_chance = gain_interval(label[~gold], production[~gold], candidate[~gold], 1 - 0.05 / 4)
    gate = limit_segment_loss(table, candidate, production, 0.01)
    assert by_chance[0] > 0.08 and by_chance[1] < 0
    assert not gate.passed and 0.04 < gate.value < 0.06 and "(users: old)" in gate.message


@pytest.mark.parametrize("constant", [0.0, 0.3, 1.0])
def test_a_model_that_gives_everybody_the_same_probability_is_compared_too(rows, constant):
    same = np.full(USERS, constant)
    gate = limit_segment_loss(rows, same, blurred(rows, 0), 0.05)
    assert not gate.passed and gate.value > 0.2
    assert limit_segment_loss(rows, same, same, 0.05).value == 0
    everyone = rows.set_column(rows.column_names.index("label"), "label", pa.array(np.ones(USERS, np.int32)))
    assert "No segment has 50 churned and 50 other users" in limit_segment_loss(everyone, same, same, 0.05).message


def test_a_small_segment_is_ignored(rows):
    few = rows.slice(0, 60)
    decision = decide(few, blurred(few, 2), blurred(few, 0), PARAMS)
    (gate,) = [gate for gate in decision["gates"] if gate["gate"] == "max_segment_loss"]
    assert gate["passed"] and gate["value"] == 0 and gate["message"].startswith("No segment has 50 churned and 50")
    assert {segment["roc_auc"] for segment in measure_segments(few, blurred(few, 0), 0.5)} == {None}


def test_segments_are_new_and_old_users_and_each_card(rows):
    segments = find_segments(rows)
    assert list(segments) == [
        "users: new",
        "users: old",
        "card_type: BLACK",
        "card_type: GOLD",
        "card_type: unknown",
    ]
    assert (segments["users: new"] ^ segments["users: old"]).all()
    first = measure_segments(rows, blurred(rows, 0), 0.5)[0]
    assert first["users"] == segments["users: new"].sum()
    assert {"churn_rate", "mean_prediction", "roc_auc_low", "lift_at_5_percent", "true_positives"} <= first.keys()
