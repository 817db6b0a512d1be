"""How good a probability is: ranking, calibration, and the curves behind both."""

import numpy as np

CALIBRATION_BINS = 10


def measure(label: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Return every measure of a probability of churn; `label` is 1 for churned, both of shape (rows,)."""
    # A probability of exactly 0 or 1 that is wrong would make the loss infinite.
    clipped = np.clip(probability, 1e-7, 1 - 1e-7)
    bins = calibration(label, probability)
    return {
        "roc_auc": roc_auc(label, probability),
        "pr_auc": average_precision(label, probability),
        "log_loss": float(-np.mean(np.where(label == 1, np.log(clipped), np.log1p(-clipped)))),
        "brier": float(np.mean((probability - label) ** 2)),
        "ece": sum(bin["users"] * abs(bin["mean_prediction"] - bin["churn_rate"]) for bin in bins) / len(label),
        "mean_prediction": float(np.mean(probability)),
    }


def roc_auc(label: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve: the chance that a churned user scores above one who stayed."""
    return float(np.trapezoid(*roc_curve(label, score)[::-1]))


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the precision-recall curve, as steps: the mean precision over the churned users."""
    recall, precision = precision_recall_curve(label, score)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def roc_curve(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rate at every threshold, from (0, 0) to (1, 1)."""
    true, false = _positives(label, score)
    return np.concatenate([[0.0], false / false[-1]]), np.concatenate([[0.0], true / true[-1]])


def precision_recall_curve(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and precision at every threshold, the highest score first."""
    true, false = _positives(label, score)
    return true / true[-1], true / (true + false)


def calibration(label: np.ndarray, probability: np.ndarray) -> list[dict]:
    """Return mean prediction and churn rate of ten groups of equal size, by rising prediction."""
    groups = np.array_split(np.argsort(probability, kind="stable"), min(CALIBRATION_BINS, len(label)))
    return [
        {
            "bin": number,
            "users": len(group),
            "mean_prediction": float(probability[group].mean()),
            "churn_rate": float(label[group].mean()),
        }
        for number, group in enumerate(groups, start=1)
    ]


def _positives(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count churned and other users at or above each distinct score, the highest first."""
    order = np.argsort(-score, kind="stable")
    last_of_score = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    true = np.cumsum(label[order] == 1)[last_of_score]
    return true, last_of_score + 1 - true
