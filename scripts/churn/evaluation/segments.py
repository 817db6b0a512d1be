"""Measure a model separately for segments of users, because a good average can hide a bad segment."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.evaluation.metrics import measure
from churn.features.categories import merge_rare, name_categories
from churn.features.table import CATEGORIES

NEW_DAYS = 30
# Required of both churned users and others: with fewer, a metric is mostly noise.
MIN_USERS = 50
# The lowest age of each band; of the last, there is no highest.
AGE_BANDS = {"under 30": -np.inf, "30 to 44": 30, "45 to 59": 45, "60 and over": 60}


def find_segments(rows: pa.Table) -> dict[str, np.ndarray]:
    """Return which rows are in each segment, as masks of shape (rows,).

    Of each kind of category, the most frequent are segments of their own, and all others together are one. Age bands
    and genders are segments if the table has their columns.

    Parameters
    ----------
    rows : pyarrow.Table
        With the columns of a feature table.
    """
    # ASSUME: a user whose first payment in the lookback is less than a month old is new.
    new = rows["days_since_first_payment"].to_numpy() < NEW_DAYS
    segments = {"users: new": new, "users: old": ~new}
    for category in CATEGORIES:
        (values,) = merge_rare(name_categories(rows[category]).fill_null("unknown"))
        names = sorted(pc.unique(values).to_pylist())
        segments |= {f"{category}: {name}": pc.equal(values, name).to_numpy() for name in names}
    return segments | _find_demographics(rows)


def _find_demographics(rows: pa.Table) -> dict[str, np.ndarray]:
    """Return age bands and genders as masks, those without users left out."""
    masks = {}
    if "age" in rows.column_names:
        age = rows["age"].to_numpy()
        bounds = [*AGE_BANDS.values(), np.inf]
        for number, band in enumerate(AGE_BANDS):
            masks[f"age: {band}"] = (age >= bounds[number]) & (age < bounds[number + 1])
        masks["age: unknown"] = np.isnan(age)
    if "gender_is_female" in rows.column_names:
        female = rows["gender_is_female"].to_numpy()
        masks |= {"gender: female": female == 1, "gender: male": female == 0, "gender: unknown": np.isnan(female)}
    return {name: mask for name, mask in masks.items() if mask.any()}


def measure_segments(rows: pa.Table, probability: np.ndarray, threshold: float) -> list[dict[str, Any]]:
    """Return a record for each segment: its name, its size and its metrics; null where there are too few users.

    Parameters
    ----------
    rows : pyarrow.Table
        Labelled rows with the columns of a feature table.
    probability : numpy.ndarray
        Of shape (rows,).
    threshold : float
        Users with at least this probability are flagged.
    """
    label = rows["label"].to_numpy()
    return [
        {"segment": name, "users": int(mask.sum()), "churn_rate": float(label[mask].mean())}
        | _measure(label[mask], probability[mask], threshold)
        for name, mask in find_segments(rows).items()
        if mask.any()
    ]


def has_enough(label: np.ndarray) -> bool:
    """Return whether there are enough churned users and enough others to measure a model."""
    return bool(min(np.sum(label == 1), np.sum(label == 0)) >= MIN_USERS)


def _measure(label: np.ndarray, probability: np.ndarray, threshold: float) -> dict[str, Any]:
    if has_enough(label):
        return measure(label, probability, threshold)
    return {"mean_prediction": float(probability.mean()), "roc_auc": None}
