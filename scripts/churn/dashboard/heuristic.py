"""The rule that scores users when there is no model: by the days since their last payment only."""

import numpy as np

NAME = "local heuristic"
FEATURE = "days_since_last_payment"
# After one horizon without payments, a user meets the definition of churn.
THRESHOLD = 0.5


def churn_by_silence(days_since_last_payment: np.ndarray, horizon_days: int) -> np.ndarray:
    """Return a rough probability of churn: days / (days + horizon).

    It is 0 for a user who paid today, 0.5 for a user who has not paid for one horizon, and approaches 1. It learns
    nothing from data, and ranks users like the baseline `recency`.

    Parameters
    ----------
    days_since_last_payment : numpy.ndarray
        Days, 0 or more, of shape (users,); NaN where unknown.
    horizon_days : int
        Days without a payment after which a user counts as churned, above 0.

    Returns
    -------
    numpy.ndarray
        Of shape (users,), 0 to 1; NaN where the days are unknown or negative.
    """
    silence = np.asarray(days_since_last_payment, dtype=np.float64)
    silence = np.where(silence >= 0, silence, np.nan)
    return silence / (silence + horizon_days)
