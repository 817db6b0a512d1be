"""Read what clean_payments and build_user_base wrote: data/clean/<drop>/."""

from datetime import date
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from churn.as_of import Drop
from churn.command import UserError


def open_drop(connection: Backend, clean: Path, drop: date) -> Drop:
    """Return the drop with the day of its first payment.

    Raises
    ------
    UserError
        When the drop holds no payment.
    """
    payments = read_payments(connection, clean, drop)
    (first_payment,) = fetch_row(connection, payments.aggregate(payments.FECHA.min()))
    if first_payment is None:
        raise UserError(
            f"Drop {drop} holds no payment that could be read; see data/clean/{drop}/payments_rejects.parquet."
        )
    return Drop(drop, first_payment)


def read_payments(connection: Backend, clean: Path, drop: date) -> ir.Table:
    """Return the drop's clean payments."""
    return connection.read_parquet(clean / str(drop) / "payments_clean.parquet", table_name=f"payments_{drop}")


def read_users(connection: Backend, clean: Path, drop: date) -> ir.Table:
    """Return the drop's user base."""
    return connection.read_parquet(clean / str(drop) / "user_base.parquet", table_name=f"user_base_{drop}")


def fetch_row(connection: Backend, table: ir.Table) -> tuple[Any, ...]:
    """Return the one row of an aggregate, without importing pandas as Ibis's own ways to fetch do."""
    return connection.raw_sql(connection.compile(table)).fetchone()
