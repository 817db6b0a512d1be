"""Metrics of a churn probability: ranking, calibration, confusion at a threshold, and the curves for plots.

Labels are 1 for churned and 0 for stayed; labels and probabilities are arrays of shape (rows,).

Why not scikit-learn: importing sklearn.metrics takes two seconds in every training, evaluation and comparison, and its
ROC AUC of 5,000 rows takes seven times as long. The tests check that the numbers agree.
"""

from typing import Any

import numpy as np

from churn.evaluation.delong import auc_interval

CALIBRATION_BINS = 10
LIFTS = (1, 5, 10)


def measure(label: np.ndarray, probability: np.ndarray, threshold: float) -> dict[str, float]:
    """Return all metrics of a probability; users at or above the threshold are flagged as churners."""
    auc, low, high = auc_interval(label, probability)
    return {
        "roc_auc": auc,
        "roc_auc_low": low,
        "roc_auc_high": high,
        "pr_auc": average_precision(label, probability),
        "log_loss": log_loss(label, probability),
        "brier": float(np.mean((probability - label) ** 2)),
        "ece": calibration_error(label, probability),
        "mean_prediction": float(np.mean(probability)),
        **{f"lift_at_{percent}_percent": lift(label, probability, percent / 100) for percent in LIFTS},
        **confusion(label, probability >= threshold),
    }


def roc_auc(label: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve: the chance that a churned user scores higher than one who stayed."""
    return float(np.trapezoid(*roc_curve(label, score)[::-1]))


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the stepwise precision-recall curve: the mean precision over the churned users."""
    recall, precision = precision_recall_curve(label, score)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def log_loss(label: np.ndarray, probability: np.ndarray) -> float:
    """Return the mean negative log-likelihood of the labels."""
    # A wrong probability of exactly 0 or 1 would make the loss infinite.
    clipped = np.clip(probability, 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(label == 1, np.log(clipped), np.log1p(-clipped))))


def lift(label: np.ndarray, score: np.ndarray, share: float) -> float:
    """Return the churn rate of the highest-scored share of the users, divided by the churn rate of all."""
    flagged = max(1, round(share * len(label)))
    return float(label[np.argsort(-score, kind="stable")[:flagged]].mean() / label.mean())


def confusion(label: np.ndarray, flagged: np.ndarray) -> dict[str, int]:
    """Count true and false positives and negatives; positives are users flagged as churners."""
    return {
        "true_positives": int(np.sum(flagged & (label == 1))),
        "false_positives": int(np.sum(flagged & (label == 0))),
        "false_negatives": int(np.sum(~flagged & (label == 1))),
        "true_negatives": int(np.sum(~flagged & (label == 0))),
    }


def best_f1_threshold(label: np.ndarray, probability: np.ndarray) -> float:
    """Return the threshold with the highest F1 score."""
    true, false, thresholds = _positives(label, probability)
    return float(thresholds[np.argmax(2 * true / (true + false + true[-1]))])


def roc_curve(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rate at every threshold, from (0, 0) to (1, 1)."""
    true, false, _ = _positives(label, score)
    return np.concatenate([[0.0], false / false[-1]]), np.concatenate([[0.0], true / true[-1]])


def precision_recall_curve(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and precision at every threshold, the highest score first."""
    true, false, _ = _positives(label, score)
    return true / true[-1], true / (true + false)


def gains_curve(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of users flagged and the share of churners found, from (0, 0) to (1, 1)."""
    true, false, _ = _positives(label, score)
    return np.concatenate([[0.0], (true + false) / len(label)]), np.concatenate([[0.0], true / true[-1]])


def calibration(label: np.ndarray, probability: np.ndarray) -> list[dict[str, Any]]:
    """Return mean prediction and churn rate of ten groups of equal size, in order of the prediction."""
    return [
        {
            "bin": number,
            "users": len(group),
            "mean_prediction": float(probability[group].mean()),
            "churn_rate": float(label[group].mean()),
        }
        for number, group in enumerate(_calibration_groups(probability), start=1)
    ]


def calibration_error(label: np.ndarray, probability: np.ndarray) -> float:
    """Return the expected calibration error: the mean distance between prediction and churn rate in ten groups."""
    bins = calibration(label, probability)
    distances = (bin["users"] * abs(bin["mean_prediction"] - bin["churn_rate"]) for bin in bins)
    return float(sum(distances) / len(label))


def chance_calibration_error(probability: np.ndarray) -> float:
    """Return the calibration error that a perfectly calibrated probability has on average, by chance alone.

    The churn rate of a group of n users varies around its mean prediction with the variance sum(p * (1 - p)) / n**2.
    With enough users the variation is nearly normal, and the mean distance is sqrt(2 / pi) of its standard deviation.
    """
    groups = (probability[group] for group in _calibration_groups(probability))
    # Weighted by n, as in calibration_error, the standard deviation of a group is sqrt(sum(p * (1 - p))).
    deviations = (np.sqrt(np.sum(group * (1 - group))) for group in groups)
    return float(np.sqrt(2 / np.pi) * sum(deviations) / len(probability))


def _calibration_groups(probability: np.ndarray) -> list[np.ndarray]:
    """Return the rows of ten groups of equal size, in order of the probability."""
    order = np.argsort(probability, kind="stable")
    return np.array_split(order, min(CALIBRATION_BINS, len(order)))


def _positives(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, per distinct score from the highest: churned users at or above it, other such users, and the score."""
    order = np.argsort(-score, kind="stable")
    last_of_score = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    true = np.cumsum(label[order] == 1)[last_of_score]
    return true, last_of_score + 1 - true, score[order][last_of_score]
