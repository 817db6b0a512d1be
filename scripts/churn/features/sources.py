"""Read what clean_payments, build_user_base and build_features wrote for each drop."""

import json
from datetime import date
from pathlib import Path

import ibis.expr.types as ir

from churn.base.command import UserError
from churn.engines import Engine
from churn.features.as_of import Drop


def open_drop(coverage: Path, drop: date) -> Drop:
    """Return the drop with the days that it covers.

    Parameters
    ----------
    coverage : Path
        Folder of the metrics of clean_payments.

    Raises
    ------
    UserError
        When the drop has no payments, or they have not been cleaned.
    """
    try:
        counts = json.loads((coverage / f"{drop}.json").read_text())
    except FileNotFoundError:
        raise UserError(
            f"{coverage / f'{drop}.json'} is missing: the payments of {drop} have not been cleaned. If the drop was added "
            "while this run was under way, run again."
        ) from None
    covered = counts["PAYMENTS.csv"]["covered"]
    spans = tuple((date.fromisoformat(first), date.fromisoformat(last)) for first, last in covered)
    if not spans:
        raise UserError(f"Drop {drop} has no valid payments; see data/clean/{drop}/payments_rejects.parquet.")
    return Drop(drop, spans)


def read_payments(engine: Engine, clean: Path, drop: date) -> ir.Table:
    """Return the drop's clean payments."""
    return engine.read(clean / str(drop) / "payments_clean.parquet")


def read_users(engine: Engine, clean: Path, drop: date) -> ir.Table:
    """Return the drop's user base."""
    return engine.read(clean / str(drop) / "user_base.parquet")


def read_features(engine: Engine, features: Path, drop: date) -> ir.Table:
    """Return the drop's feature table."""
    return engine.read(features / str(drop) / "churn_features.parquet")
