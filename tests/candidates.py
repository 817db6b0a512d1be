"""A small candidate, trained once for all tests that need one."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from train_model import train_model

PARAMS = {
    "leave_out": [],
    "log_features": ["active_days", "payments_sum", "balance_change"],
    "folds": 2,
    "grid": {"regParam": [0.01, 0.1], "elasticNetParam": [0.5]},
}


# PySpark leaves the sockets through which it collects rows to the garbage collector.
IGNORE_SOCKETS = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)

_trained: list["Candidate"] = []


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
    return pa.table(
        {
            "user_id": pa.array(np.arange(users) * 7 + 1),
            "as_of_date": pa.array([date(2026, 1, 5)] * users),
            "days_since_last_payment": recency,
            "active_days": days,
            "payments_sum": np.round(days * np.exp(generator.normal(3, 1, users)), 2),
            "balance_change": balance_change,
            "age": pa.array(age, from_pandas=True),
            "mau_ml_1": pa.nulls(users, pa.float64()),
            "has_investment": np.ones(users),
            "label": pa.array((generator.random(users) < 1 / (1 + np.exp(-odds))).astype(np.int32)),
        }
    )


def train_candidate(source: Path, target: Path, master: str = "local[2]") -> Candidate:
    """Train on the rows in `source`, which are made if need be."""
    train, holdout = source / "train.parquet", source / "holdout.parquet"
    if not train.exists():
        pq.write_table(make_rows(600, seed=1), train)
        pq.write_table(make_rows(300, seed=2), holdout)
    candidate = Candidate(train, holdout, target / "model", target / "metrics.json", target / "plots")
    train_model(*vars(candidate).values(), PARAMS, master)
    return candidate


def shared_candidate(factory: pytest.TempPathFactory) -> Candidate:
    """Return the candidate that all tests share; they do not change it."""
    if not _trained:
        folder = factory.mktemp("candidate")
        _trained.append(train_candidate(folder, folder))
    return _trained[0]
