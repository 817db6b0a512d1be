"""A small candidate, trained once for all tests that need one."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import make_once

from train_model import train_model

PARAMS = {
    "family": "logistic_regression",
    "metric": "roc_auc",
    "folds": 2,
    "tolerance": 0.0,
    "threshold": "best_f1",
    "leave_out": [],
    "log_features": ["active_days", "payments_sum", "balance_change"],
    "grids": {
        "logistic_regression": {"regParam": [0.01, 0.1], "elasticNetParam": [0.5]},
        "random_forest": {"numTrees": [5], "maxDepth": [3, 4]},
        "gradient_boosted_trees": {"maxIter": [3], "maxDepth": [2, 3]},
    },
}


# PySpark leaves the sockets through which it collects rows to the garbage collector.
IGNORE_SOCKETS = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)


@dataclass(frozen=True)
class Candidate:
    """What train_model read and wrote."""

    train: Path
    holdout: Path
    model: Path
    metrics: Path
    plots: Path


def make_rows(users: int, seed: int) -> pa.Table:
    """Return labelled rows: age is unknown here and there, mau_ml_1 is known to nobody, has_investment is constant."""
    generator = np.random.default_rng(seed)
    recency = generator.integers(0, 90, users).astype(float)
    days = generator.poisson(3, users) + 1.0
    balance_change = np.round(generator.normal(0, 1, users) * np.exp(generator.normal(8, 3, users)), 2)
    age = np.where(generator.random(users) < 0.2, np.nan, generator.integers(18, 80, users))
    odds = 0.03 * (recency - 45) - 0.2 * days + 0.1 * np.sign(balance_change) * np.log1p(np.abs(balance_change))
    label = (generator.random(users) < 1 / (1 + np.exp(-odds))).astype(np.int32)
    return pa.table(
        {
            "user_id": pa.array(np.arange(users) * 7 + 1),
            "as_of_date": pa.array([date(2026, 1, 5)] * users),
            "card_type": pa.array(np.array(["GOLD", "BLACK", None])[generator.integers(0, 3, users)]),
            "days_since_last_payment": recency,
            "days_since_first_payment": recency + generator.integers(0, 60, users),
            "active_days": days,
            "payments_sum": np.round(days * np.exp(generator.normal(3, 1, users)), 2),
            "balance_change": balance_change,
            "age": pa.array(age, from_pandas=True),
            "mau_ml_1": pa.nulls(users, pa.float64()),
            "has_investment": np.ones(users),
            "label": label,
        }
    )


def shared_candidate(factory: pytest.TempPathFactory, family: str = "logistic_regression") -> Candidate:
    """Return the candidate of a family that all tests share; they do not change it."""
    rows = make_once(factory, "labelled_rows", write_rows)
    tables = rows / "train.parquet", rows / "holdout.parquet"

    def train(folder: Path) -> None:
        train_model(*tables, *outputs(folder), PARAMS | {"family": family})

    return Candidate(*tables, *outputs(make_once(factory, family, train)))


def write_rows(folder: Path) -> None:
    """Write the labelled rows."""
    folder.mkdir()
    pq.write_table(make_rows(600, seed=1), folder / "train.parquet")
    pq.write_table(make_rows(300, seed=2), folder / "holdout.parquet")


def outputs(folder: Path) -> tuple[Path, Path, Path]:
    """Return where the model, the metrics and the plots are."""
    return folder / "model", folder / "metrics.json", folder / "plots"
