"""A fixed hash of the user's id: the same user gets the same number on every machine, in every run."""

import numpy as np


def hash_users(user_id: np.ndarray) -> np.ndarray:
    """Spread ids evenly over 64 bits.

    Parameters
    ----------
    user_id : numpy.ndarray
        int64 of shape (rows,).

    Returns
    -------
    numpy.ndarray
        uint64 of shape (rows,); different ids get different numbers.

    Notes
    -----
    The finalizer of SplitMix64: Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    mixed = user_id.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
