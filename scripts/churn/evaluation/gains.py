"""Describe in words whether a model beats its baselines."""

from churn.evaluation.delong import CONFIDENCE


def describe_gains(gains: dict[str, dict[str, float]]) -> str:
    """Return a sentence that says whether a model beats its baselines by more than chance.

    Parameters
    ----------
    gains : dict
        `gain_over_baselines` of train_model's metrics: for each baseline, the gain in ROC AUC and the bounds of its
        interval.
    """
    each = [
        f"{name} by {gain['gain']:+.4f} ({CONFIDENCE:.0%} interval {gain['low']:+.4f} to {gain['high']:+.4f})"
        for name, gain in gains.items()
    ]
    if all(gain["low"] > 0 for gain in gains.values()):
        return f"The model's ROC AUC exceeds the baselines': {' and '.join(each)}."
    doubtful = " and ".join(name for name, gain in gains.items() if gain["low"] <= 0)
    return (
        f"The model does NOT beat {doubtful} beyond chance; its ROC AUC exceeds {' and '.join(each)}. "
        "The simpler score would do as well."
    )
