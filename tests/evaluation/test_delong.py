"""Confidence intervals of ROC AUCs, compared with their definition and with simulations."""

import numpy as np
import pytest

from churn.evaluation.delong import auc_covariance, auc_interval, gain_interval
from churn.evaluation.metrics import roc_auc


def draw(generator: np.random.Generator, users: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels and two correlated scores, with ties."""
    label = (generator.random(users) < 0.3).astype(int)
    common = label + generator.normal(0, 1.2, users)
    return label, np.round(common + generator.normal(0, 0.5, users), 1), np.round(common, 1)


def test_the_auc_equals_the_curve_s_and_the_covariance_equals_its_definition():
    label, score, other = draw(np.random.default_rng(1), 200)
    aucs, covariance = auc_covariance(label, score, other)
    assert aucs == pytest.approx([roc_auc(label, score), roc_auc(label, other)])
    components = []
    for values in (score, other):
        above = np.subtract.outer(values[label == 1], values[label == 0])
        components.append((above > 0) + 0.5 * (above == 0))
    first, second = ([component.mean(axis=axis) for component in components] for axis in (1, 0))
    expected = np.cov(first) / len(first[0]) + np.cov(second) / len(second[0])
    assert covariance == pytest.approx(expected)


def test_the_intervals_contain_the_true_value_at_their_confidence_level():
    generator = np.random.default_rng(2)
    label, score, other = draw(generator, 200_000)
    truth, true_gain = roc_auc(label, score), roc_auc(label, score) - roc_auc(label, other)
    hits = gain_hits = 0
    for _ in range(400):
        sample = generator.integers(0, len(label), 500)
        _, low, high = auc_interval(label[sample], score[sample])
        hits += low <= truth <= high
        _, low, high = gain_interval(label[sample], score[sample], other[sample])
        gain_hits += low <= true_gain <= high
    # Expected: 380 of 400. With probability 0.95 each, fewer than 363 or more than 394 happen once in a thousand tests.
    assert 363 <= hits <= 394 and 363 <= gain_hits <= 394


def test_equal_scores_have_no_gain_and_no_uncertainty():
    label, score, _ = draw(np.random.default_rng(3), 300)
    assert gain_interval(label, score, score) == pytest.approx((0, 0, 0))


def test_an_interval_is_clipped_to_0_and_1():
    label = np.array([0, 0, 0, 1, 1])
    assert auc_interval(label, label.astype(float)) == (1.0, 1.0, 1.0)
