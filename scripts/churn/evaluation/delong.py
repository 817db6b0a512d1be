"""Confidence intervals of a ROC AUC, and of the difference between two ROC AUCs on the same users.

Method: E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, Comparing the areas under two or more correlated receiver
operating characteristic curves, Biometrics 44 (1988), computed by midranks as X. Sun and W. Xu, Fast implementation of
DeLong's algorithm, IEEE Signal Processing Letters 21 (2014). Labels and scores are arrays of shape (rows,).
"""

from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95


def auc_interval(label: np.ndarray, score: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Return the ROC AUC of a score and the bounds of its confidence interval."""
    (auc,), ((variance,),) = auc_covariance(label, score)
    low, high = _interval(auc, variance, confidence)
    return float(auc), max(low, 0.0), min(high, 1.0)


def gain_interval(
    label: np.ndarray, score: np.ndarray, other: np.ndarray, confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """Return the gain in ROC AUC of a score over another on the same users, and the bounds of its interval."""
    (auc, other_auc), covariance = auc_covariance(label, score, other)
    gain, variance = auc - other_auc, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return float(gain), *_interval(gain, variance, confidence)


def auc_covariance(label: np.ndarray, *scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ROC AUC of each score, of shape (scores,), and their covariance, of shape (scores, scores).

    Needs at least two users who churned and two who stayed.
    """
    churned = label == 1
    first, other = int(churned.sum()), int((~churned).sum())
    # For each user, the share of the other group with a lower (churned users) or higher (stayed users) score.
    above = np.array([(_midranks(score)[churned] - _midranks(score[churned])) / other for score in scores])
    below = np.array([1 - (_midranks(score)[~churned] - _midranks(score[~churned])) / first for score in scores])
    covariance = np.cov(above).reshape(len(scores), -1) / first + np.cov(below).reshape(len(scores), -1) / other
    return above.mean(axis=1), covariance


def _midranks(score: np.ndarray) -> np.ndarray:
    """Return the rank of each score, from 1; equal scores get the mean of their ranks."""
    _, group, sizes = np.unique(score, return_inverse=True, return_counts=True)
    return (np.cumsum(sizes) - (sizes - 1) / 2)[group]


def _interval(value: float, variance: float, confidence: float) -> tuple[float, float]:
    # Rounding can make the variance of equal scores slightly negative.
    half = NormalDist().inv_cdf((1 + confidence) / 2) * np.sqrt(max(variance, 0.0))
    return float(value - half), float(value + half)
