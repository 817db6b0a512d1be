"""The rule that scores users where no model can: by how long they have been silent, and by nothing else."""

import numpy as np

NAME = "local heuristic"
FEATURE = "days_since_last_payment"
# Silent for the horizon, a user has done already what the label calls churn.
THRESHOLD = 0.5


def churn_by_silence(days_since_last_payment: np.ndarray, horizon_days: int) -> np.ndarray:
    """Return a rough probability of churn from the days since the last payment: silence / (silence + horizon).

    It is 0 for a user who paid today, one half for a user who has been silent for the whole horizon, and comes near 1
    without reaching it. Nothing is learnt: it ranks users as the baseline `recency` does.

    Parameters
    ----------
    days_since_last_payment : numpy.ndarray
        Days, 0 or more, of shape (users,); NaN where unknown.
    horizon_days : int
        Days without a payment that make a churner, above 0.

    Returns
    -------
    numpy.ndarray
        Of shape (users,), 0 to 1; NaN where the days are unknown or below 0.
    """
    silence = np.asarray(days_since_last_payment, dtype=np.float64)
    silence = np.where(silence >= 0, silence, np.nan)
    return silence / (silence + horizon_days)
