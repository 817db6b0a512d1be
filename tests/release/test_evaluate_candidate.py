"""What a candidate must pass to be promoted."""

import numpy as np
import pyarrow as pa
import pytest

from churn.evaluation.segments import find_segments, measure_segments
from churn.release.gates import decide

PARAMS = {"min_delta": 0.005, "confidence": None, "min_roc_auc": 0.6, "max_ece": 0.1, "max_segment_loss": 0.05}
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
    assert decision["reason"].startswith("There is no Production yet; the candidate's ROC AUC is 0.8")


def test_a_gain_is_promoted_and_a_loss_is_not(rows):
    better = decide(rows, blurred(rows, 0.1), blurred(rows, 1), PARAMS)
    assert better["decision"] == "promote" and failed(better) == []
    assert 0.005 < better["gain_low"] < better["gain"] < better["gain_high"]
    assert "The gain, 0.0" in better["reason"] and "reaches the required 0.005" in better["reason"]
    worse = decide(rows, blurred(rows, 1), blurred(rows, 0.1), PARAMS)
    assert worse["decision"] == "skip" and worse["gain"] == pytest.approx(-better["gain"])
    assert "min_delta" in failed(worse) and "is below the required 0.005" in worse["reason"]


def test_with_a_confidence_a_gain_that_may_be_chance_is_not_enough(rows):
    candidate, production = blurred(rows, 0.4, seed=4), blurred(rows, 0.41, seed=5)
    if np.subtract(*[decide(rows, one, None, PARAMS)["gates"][0]["value"] for one in (candidate, production)]) < 0:
        candidate, production = production, candidate
    params = PARAMS | {"min_delta": 0.0}
    assert decide(rows, candidate, production, params)["decision"] == "promote"
    doubtful = decide(rows, candidate, production, params | {"confidence": 0.99})
    assert failed(doubtful) == ["confidence"] and "is not above the required 0" in doubtful["reason"]
    assert doubtful["gain_low"] < 0 < doubtful["gain"]
    sure = decide(rows, blurred(rows, 0), blurred(rows, 1), params | {"confidence": 0.99})
    assert failed(sure) == [] and sure["confidence"] == 0.99


def test_a_model_that_hardly_ranks_fails_without_production_too(rows):
    decision = decide(rows, np.random.default_rng(1).random(USERS), None, PARAMS | {"max_ece": 1.0})
    assert failed(decision) == ["min_roc_auc"]
    assert "The candidate's ROC AUC, 0.5" in decision["reason"] or "ROC AUC, 0.4" in decision["reason"]


def test_uncalibrated_probabilities_fail(rows):
    decision = decide(rows, blurred(rows, 0) * 0.5, None, PARAMS)
    assert failed(decision) == ["max_ece"] and "exceeds the allowed 0.1" in decision["reason"]


def test_a_loss_in_one_segment_fails_despite_the_overall_gain(rows):
    gold = find_segments(rows)["card_type: GOLD"]
    candidate = np.where(gold, blurred(rows, 3), blurred(rows, 0))
    decision = decide(rows, candidate, blurred(rows, 1.5, seed=2), PARAMS | {"max_ece": 1.0})
    assert decision["gain"] > 0.005
    assert failed(decision) == ["max_segment_loss"] and "(card_type: GOLD)" in decision["reason"]


def test_a_small_segment_is_ignored(rows):
    few = rows.slice(0, 60)
    decision = decide(few, blurred(few, 2), blurred(few, 0), PARAMS | {"min_delta": 0.0})
    (gate,) = [gate for gate in decision["gates"] if gate["gate"] == "max_segment_loss"]
    assert gate["passed"] and gate["value"] == 0
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
