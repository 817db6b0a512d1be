"""Distances between a column's values in two sets of rows; larger means more drift.

They are defined as in Evidently, which draws the report, and a test compares the two. Evidently itself takes three
seconds to import, which is most of what a week's measurement would take.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Numbers with more different values than this are counted in bins.
MOST_VALUES = 20
# An empty bin counts as this share, or as a millionth of the smallest share where that is already as small.
EMPTY = 1e-4

Values = NDArray[Any]
Shares = tuple[NDArray[np.float64], NDArray[np.float64]]


def wasserstein(current: Values, reference: Values) -> float:
    """Return how far values moved on average, in standard deviations of the reference."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(reference, current) / max(np.std(reference), 0.001))


def jensenshannon(current: Values, reference: Values) -> float:
    """Return the Jensen-Shannon distance, 0 to 0.83."""
    from scipy.spatial.distance import jensenshannon

    return float(jensenshannon(*count_shares(current, reference)))


def psi(current: Values, reference: Values) -> float:
    """Return the population stability index."""
    now, before = map(fill_empty, count_shares(current, reference))
    return float(np.sum((before - now) * np.log(before / now)))


def hellinger(current: Values, reference: Values) -> float:
    """Return the Hellinger distance, 0 to 1; numbers are always counted in bins."""
    if current.dtype.kind == "f" and not is_binary(current, reference):
        edges = np.histogram_bin_edges(np.unique(np.concatenate([reference, current])), bins="sturges")
        now, before = (np.histogram(values, edges)[0] / len(values) for values in (current, reference))
    else:
        now, before = count_values(current, reference)
    return float(np.sqrt(1 - np.clip(np.sum(np.sqrt(now * before)), 0, 1)))


METHODS: dict[str, Callable[[Values, Values], float]] = {
    "wasserstein": wasserstein,
    "jensenshannon": jensenshannon,
    "psi": psi,
    "hellinger": hellinger,
}


def is_binary(*columns: Values) -> bool:
    """Return whether all values are 0 or 1."""
    return all(bool(np.isin(values, (0, 1)).all()) for values in columns)


def count_shares(current: Values, reference: Values) -> Shares:
    """Return the share of each value or, of numbers with many values, of each bin: now and before."""
    if current.dtype.kind == "f" and len(np.unique(reference)) > MOST_VALUES:
        edges = np.histogram_bin_edges(np.concatenate([reference, current]), bins="sturges")
        now, before = (np.histogram(values, edges)[0] / len(values) for values in (current, reference))
        return now, before
    return count_values(current, reference)


def count_values(current: Values, reference: Values) -> Shares:
    """Return the share of each value, now and before."""
    values, places = np.unique(np.concatenate([current, reference]), return_inverse=True)
    now, before = places[: len(current)], places[len(current) :]
    return tuple(np.bincount(each, minlength=len(values)) / len(each) for each in (now, before))  # type: ignore[return-value]


def fill_empty(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return shares without zeros, whose logarithm does not exist."""
    smallest = shares[shares > 0].min()
    return np.where(shares == 0, smallest / 1e6 if smallest <= EMPTY else EMPTY, shares)
