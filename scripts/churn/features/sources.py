"""Read the tables that clean_payments, build_user_base and build_features wrote for each drop."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import ibis.expr.types as ir

from churn.base.command import UserError
from churn.engines import Engine


def read_payments(engine: Engine, clean: Path, coverage: Path, drop: date) -> ir.Table:
    """Return the drop's clean payments, without refunds.

    Parameters
    ----------
    engine : Engine
        The engine to read with.
    clean, coverage : Path
        Folder of the cleaned drops, and of the metrics of clean_payments.
    drop : date
        The drop.

    Raises
    ------
    UserError
        When the payments have not been cleaned.
    """
    rows = _read(engine, clean, drop, "payments_clean.parquet")
    # Without refunds there is nothing to filter, and a query need not read the amounts.
    return rows.filter(rows.SPENT > 0) if _has_refunds(coverage, drop) else rows


def read_refunds(engine: Engine, clean: Path, coverage: Path, drop: date) -> ir.Table | None:
    """Return the drop's refunds, with amounts below 0, or None if it has none; parameters as in `read_payments`."""
    if not _has_refunds(coverage, drop):
        return None
    rows = _read(engine, clean, drop, "payments_clean.parquet")
    return rows.filter(rows.SPENT < 0)


def read_users(engine: Engine, clean: Path, drop: date) -> ir.Table:
    """Return the drop's user base."""
    return _read(engine, clean, drop, "user_base.parquet")


def read_features(engine: Engine, features: Path, drop: date) -> ir.Table:
    """Return the drop's feature table."""
    return _read(engine, features, drop, "churn_features.parquet")


def _has_refunds(coverage: Path, drop: date) -> bool:
    path = coverage / f"{drop}.json"
    if not path.exists():
        raise UserError(f"{path} is missing: the payments of {drop} have not been cleaned. Run: dvc repro")
    counts: dict[str, Any] = json.loads(path.read_text())["PAYMENTS.csv"]
    return bool(counts.get("refunds"))


def _read(engine: Engine, folder: Path, drop: date, name: str) -> ir.Table:
    path = folder / str(drop) / name
    if not path.exists():
        raise UserError(
            f"{path} is missing. Get it: make pull DROP={drop}; or make it: dvc repro build_features@{drop}"
        )
    return engine.read(path)
