"""Read data/clean/<drop>/, the outputs of clean_payments and build_user_base."""

from datetime import date
from pathlib import Path

import ibis.expr.types as ir

from churn.base.command import UserError
from churn.engines import Engine
from churn.features.as_of import Drop


def open_drop(engine: Engine, clean: Path, drop: date) -> Drop:
    """Return the drop with the day of its first payment.

    Raises
    ------
    UserError
        When the drop has no payments.
    """
    payments = read_payments(engine, clean, drop)
    ((first_payment,),) = engine.fetch(payments.aggregate(payments.FECHA.min()))
    if first_payment is None:
        raise UserError(f"Drop {drop} has no valid payments; see data/clean/{drop}/payments_rejects.parquet.")
    return Drop(drop, first_payment)


def read_payments(engine: Engine, clean: Path, drop: date) -> ir.Table:
    """Return the drop's clean payments."""
    return engine.read(clean / str(drop) / "payments_clean.parquet")


def read_users(engine: Engine, clean: Path, drop: date) -> ir.Table:
    """Return the drop's user base."""
    return engine.read(clean / str(drop) / "user_base.parquet")
