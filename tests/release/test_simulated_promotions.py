"""The simulation behind the figures on promotions by luck (benchmarks/promotions.py) is what it claims to be."""

import sys

import numpy as np
import pytest
import yaml
from conftest import ROOT

from churn.evaluation.metrics import calibration_error, chance_calibration_error, roc_auc

sys.path.append(str(ROOT / "benchmarks"))

from promotions import Holdouts, World, fast_auc, is_promoted, simulate

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())["evaluate_candidate"]
MIN_DELTA_ALONE = PARAMS | {"confidence": None, "max_ece": 1.0, "max_segment_loss": 1.0}


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(4)


def test_the_scores_have_the_roc_auc_the_correlation_and_the_calibration_that_are_claimed(generator):
    holdouts = Holdouts(World(100_000, correlation=0.9), generator)
    first, second = holdouts.log_odds(holdouts.add_model(), 0.76), holdouts.log_odds(holdouts.add_model(), 0.78)
    assert roc_auc(holdouts.label, first) == pytest.approx(0.76, abs=0.006)
    assert roc_auc(holdouts.label, second) == pytest.approx(0.78, abs=0.006)
    for label in (0, 1):
        group = holdouts.label == label
        assert np.corrcoef(first[group], second[group])[0, 1] == pytest.approx(0.9, abs=0.01)
    probability = 1 / (1 + np.exp(-first.astype(float)))
    assert calibration_error(holdouts.label, probability) < 2.5 * chance_calibration_error(probability)
    assert holdouts.label.mean() == pytest.approx(0.3, abs=0.01)


def test_the_fast_roc_auc_is_the_roc_auc(generator):
    label, score = generator.integers(0, 2, 500), generator.random(500)
    assert fast_auc(label, score) == pytest.approx(roc_auc(label, score))


def test_users_who_stay_keep_label_and_scores(generator):
    holdouts = Holdouts(World(10_000, staying=0.9), generator)
    production, candidate = holdouts.add_model(), holdouts.add_model()
    before = holdouts.label.copy(), holdouts.log_odds(production, 0.76), holdouts.log_odds(candidate, 0.76)
    holdouts.next_week(production, candidate)
    after = holdouts.label, holdouts.log_odds(production, 0.76), holdouts.log_odds(candidate, 0.76)
    stayed = before[1] == after[1]
    assert stayed.mean() == pytest.approx(0.9, abs=0.015)
    assert all((one[stayed] == other[stayed]).all() for one, other in zip(before, after, strict=True))
    independent = Holdouts(World(10_000), generator)
    noise = independent.add_model()
    score = independent.log_odds(noise, 0.76)
    independent.next_week(noise)
    assert (independent.log_odds(noise, 0.76) != score).mean() > 0.999


def test_a_gain_below_min_delta_is_skipped_and_a_large_one_is_promoted_by_the_real_gates(generator):
    holdouts = Holdouts(World(5000), generator)
    good, poor = holdouts.log_odds(holdouts.add_model(), 0.82), holdouts.log_odds(holdouts.add_model(), 0.76)
    assert is_promoted(holdouts, [good, poor], PARAMS, 0)
    assert not is_promoted(holdouts, [good, poor], PARAMS | {"min_roc_auc": 0.99}, 0), "decide is called"
    assert not is_promoted(holdouts, [poor, good], PARAMS, 0)


def test_luck_promotes_often_by_min_delta_alone_and_hardly_ever_with_confidence(generator):
    often = [week for _ in range(2) for week in simulate(World(1000), MIN_DELTA_ALONE, 0.0, generator)]
    assert len(often) > 50
    # Expected: 0.1 promotions in four years. Three or more happen once in 6,000 tests.
    assert len(simulate(World(1000), PARAMS, 0.0, generator)) < 3


def test_a_better_model_is_promoted_once_and_that_ends_the_simulation(generator):
    assert simulate(World(20_000), PARAMS, 0.02, generator) == [0]
