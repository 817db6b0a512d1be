"""The rows that a model learns from: read, checked, dealt to folds, and the features in them that tell something."""

import difflib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churn.command import UserError
from churn.user_hash import hash_users


def read_rows(path: Path, features: list[str]) -> pa.Table:
    """Read user_id, label and the features (double, null where unknown).

    Raises
    ------
    UserError
        When a feature has no column, or all rows have the same label.
    """
    columns = pq.read_schema(path).names
    for name in features:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=3)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"Its columns are: {', '.join(columns)}."
            raise UserError(f"train_model.features in params.yaml: {path} has no column {name!r}. {hint}")
    rows = pq.read_table(path, columns=["user_id", "label", *features])
    labels = pc.unique(rows["label"]).to_pylist()
    if len(labels) != 2:
        raise UserError(
            f"{path}: every one of its {len(rows)} rows has the label {labels[0] if labels else '(none)'}; a model "
            "needs users who churned (1) and users who stayed (0). Change build_training_set.horizon_days in "
            "params.yaml, or deliver drops with more users."
        )
    return rows


def assign_folds(rows: pa.Table, folds: int) -> np.ndarray:
    """Return the fold of each row, 0 to `folds` - 1: all rows of a user are in one fold.

    Raises
    ------
    UserError
        When a fold is without churned users, or without others.
    """
    fold = (hash_users(rows["user_id"].to_numpy()) % np.uint64(folds)).astype(np.int32)
    label = rows["label"].to_numpy()
    for number in range(folds):
        if len(np.unique(label[fold == number])) != 2:
            users = pc.count_distinct(rows["user_id"]).as_py()
            raise UserError(
                f"train_model.folds in params.yaml: {users} training users are too few for {folds} folds; one fold has "
                f"only churned users, only others, or nobody. Lower folds (2 is the least), or deliver more users."
            )
    return fold


def choose_features(rows: pa.Table, fold: np.ndarray, params: dict) -> tuple[list[str], list[str]]:
    """Split the features of the section train_model into those the model uses and those left out.

    Left out is a feature that is unknown or constant throughout the training part of some fold.

    Raises
    ------
    UserError
        When a log_feature is no feature, or all features would be left out.
    """
    features = params["features"]
    for name in params["log_features"]:
        if name not in features:
            raise UserError(
                f"train_model.log_features in params.yaml: {name!r} is not among train_model.features. "
                "Add it there, or take it out here."
            )
    parts = [fold != number for number in np.unique(fold)]
    left_out = [name for name in features if any(_is_constant(rows[name].to_numpy()[part]) for part in parts)]
    used = [name for name in features if name not in left_out]
    if not used:
        raise UserError(
            f"Every feature of train_model.features in params.yaml ({', '.join(features)}) is unknown or constant in "
            "the training rows. Add features that differ between users, or deliver more drops."
        )
    return used, left_out


def _is_constant(values: np.ndarray) -> bool:
    # As float32, because that is what the model sees.
    known = values[~np.isnan(values)].astype(np.float32)
    return len(known) == 0 or known.min() == known.max()
