"""Hash user ids: the same user gets the same number on every machine and in every run."""

import numpy as np


def hash_users(user_id: np.ndarray) -> np.ndarray:
    """Hash ids to 64 bits, evenly spread.

    Parameters
    ----------
    user_id : numpy.ndarray
        int64 of shape (rows,).

    Returns
    -------
    numpy.ndarray
        uint64 of shape (rows,); different ids get different hashes.

    Notes
    -----
    The finalizer of SplitMix64: Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    mixed = user_id.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
