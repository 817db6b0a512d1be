"""Read and check the training rows, assign them to folds, and choose the features to use."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from churn.base.command import UserError, suggest
from churn.base.reading import read_table
from churn.features.table import CATEGORIES, LABEL, feature_names
from churn.features.user_hash import hash_users


def read_rows(path: Path, features: list[str] | None = None) -> pa.Table:
    """Read user_id, label, categories (text) and features (double, null where unknown).

    Parameters
    ----------
    path : Path
        A table of labelled rows.
    features : list of str, optional
        The features to read; all by default.

    Raises
    ------
    UserError
        When a column is missing, or a label has fewer than two rows.
    """
    names = ds.dataset(path).schema.names
    columns = ["user_id", LABEL, *CATEGORIES, *(feature_names(names) if features is None else features)]
    for name in columns:
        if name not in names:
            raise UserError(f"{path} has no column {name!r}. {suggest(name, names)} Rebuild it: dvc repro")
    rows = read_table(path, columns=columns)
    churned, stayed = (pc.sum(pc.equal(rows[LABEL], label)).as_py() or 0 for label in (1, 0))
    if min(churned, stayed) < 2:
        raise UserError(
            f"{path}: of its {len(rows)} rows {churned} have the label 1 (churned) and {stayed} the label 0; a model "
            "needs at least two of each. Change build_training_set.horizon_days in params.yaml, or deliver drops with "
            "more users."
        )
    return rows


def assign_folds(rows: pa.Table, folds: int) -> np.ndarray:
    """Return the fold of each row, 0 to `folds` - 1; all rows of a user are in the same fold.

    Raises
    ------
    UserError
        When a fold has no churned users, or only churned users.
    """
    fold = (hash_users(rows["user_id"]) % np.uint64(folds)).astype(np.int32)
    label = rows["label"].to_numpy()
    for number in range(folds):
        if len(np.unique(label[fold == number])) != 2:
            users = pc.count_distinct(rows["user_id"]).as_py()
            raise UserError(
                f"train_model.folds in params.yaml: {users} training users are too few for {folds} folds; one fold has "
                f"only churned users, only others, or nobody. Lower folds (the minimum is 2), or deliver more users."
            )
    return fold


def choose_features(rows: pa.Table, fold: np.ndarray, params: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the features to use and the features to leave out.

    Left out are the features in train_model.leave_out, and those that are unknown or constant in the training part of
    any fold.

    Raises
    ------
    UserError
        When leave_out or log_features contains an unknown feature, or all features would be left out.
    """
    features = feature_names(rows.column_names)
    for key in ("leave_out", "log_features"):
        for name in params[key]:
            if name not in features:
                raise UserError(
                    f"train_model.{key} in params.yaml: {name!r} is not a feature of the training rows. "
                    f"{suggest(name, features)}"
                )
    parts = [fold != number for number in np.unique(fold)]
    left_out = [
        name
        for name in features
        if name in params["leave_out"] or any(_is_constant(rows[name].to_numpy()[part]) for part in parts)
    ]
    used = [name for name in features if name not in left_out]
    if not used:
        raise UserError(
            f"Every feature of the training rows ({', '.join(features)}) is unknown or constant, or left out "
            "by train_model.leave_out in params.yaml. Add features that differ between users, or deliver more drops."
        )
    return used, left_out


def _is_constant(values: np.ndarray) -> bool:
    # As float32, like the values that the model sees.
    known = values[~np.isnan(values)].astype(np.float32)
    return len(known) == 0 or bool(known.min() == known.max())
