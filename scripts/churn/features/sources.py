"""Read the tables that clean_payments, build_user_base and build_features wrote for each drop."""

from datetime import date
from pathlib import Path

import ibis.expr.types as ir

from churn.base.command import UserError
from churn.engines import Engine


def read_payments(engine: Engine, clean: Path, drop: date) -> ir.Table:
    """Return the drop's clean payments."""
    return _read(engine, clean, drop, "payments_clean.parquet")


def read_users(engine: Engine, clean: Path, drop: date) -> ir.Table:
    """Return the drop's user base."""
    return _read(engine, clean, drop, "user_base.parquet")


def read_features(engine: Engine, features: Path, drop: date) -> ir.Table:
    """Return the drop's feature table."""
    return _read(engine, features, drop, "churn_features.parquet")


def _read(engine: Engine, folder: Path, drop: date, name: str) -> ir.Table:
    path = folder / str(drop) / name
    if not path.exists():
        raise UserError(
            f"{path} is missing. Get it: make pull DROP={drop}; or make it: dvc repro build_features@{drop}"
        )
    return engine.read(path)
