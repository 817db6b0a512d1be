"""Deciles: tenths of the users by falling probability of churn."""

import numpy as np
from numpy.typing import NDArray


def deciles(probability: NDArray[np.float64], among: NDArray[np.float64] | None = None) -> NDArray[np.int32]:
    """Return the decile of each probability, 1 (most likely to churn) to 10.

    Each decile holds a tenth of the users, so users of equal probability may be in two; they are taken in row order.

    Parameters
    ----------
    probability : numpy.ndarray
        Of shape (users,).
    among : numpy.ndarray, optional
        The probabilities of other users: the result is then the decile among them, before users of equal probability.
    """
    if among is None:
        users, position = len(probability), np.empty(len(probability), dtype=np.int64)
        position[np.argsort(-probability, kind="stable")] = np.arange(users)
    else:
        users = len(among)
        position = users - np.searchsorted(np.sort(among), probability, side="right")
    return np.minimum(position * 10 // max(users, 1) + 1, 10).astype(np.int32)
