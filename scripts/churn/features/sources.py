"""Read the tables that clean_payments, build_user_base and build_features wrote for each drop."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from churn.base.command import UserError
from churn.base.reading import read_json
from churn.data.contract import USER
from churn.engines import Engine
from churn.features.coverage import Sources

PAYMENTS, USERS, FEATURES = "payments_clean.parquet", "user_base.parquet", "churn_features.parquet"


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
    rows = _read(engine, clean, drop, PAYMENTS)
    # Without refunds there is nothing to filter, and a query need not read the amounts.
    return rows.filter(rows.SPENT > 0) if _has_refunds(coverage, drop) else rows


def read_refunds(engine: Engine, clean: Path, coverage: Path, drop: date) -> ir.Table | None:
    """Return the drop's refunds, with amounts below 0, or None if it has none; parameters as in `read_payments`."""
    if not _has_refunds(coverage, drop):
        return None
    rows = _read(engine, clean, drop, PAYMENTS)
    return rows.filter(rows.SPENT < 0)


def read_users(engine: Engine, clean: Path, drop: date) -> ir.Table:
    """Return the drop's user base."""
    return _read(engine, clean, drop, USERS)


def read_features(engine: Engine, features: Path, drop: date) -> ir.Table:
    """Return the drop's feature table."""
    return _read(engine, features, drop, FEATURES)


def source_tables(clean: Path, sources: Sources, features: Path | None = None) -> list[Path]:
    """Return the tables that an as-of date is read from."""
    used = [(sources.payments, PAYMENTS), (sources.users, USERS), *((drop, PAYMENTS) for drop in sources.label)]
    cleaned = [clean / str(drop) / name for drop, name in used if drop]
    return cleaned + ([features / str(sources.features) / FEATURES] if features and sources.features else [])


def check_user_ids(tables: Iterable[Path]) -> None:
    """Raise `UserError` if user ids are whole numbers in some of the tables and text in others."""
    kinds: dict[bool, Path] = {}
    for table in tables:
        # A missing table is reported when it is read.
        for part in sorted(table.glob("*.parquet"))[:1]:
            schema = pq.read_schema(part)
            column = schema.field(USER if USER in schema.names else "user_id")
            kinds.setdefault(pa.types.is_integer(column.type), table)
    if len(kinds) > 1:
        raise UserError(
            f"User ids are whole numbers in {kinds[True]}, but text in {kinds[False]}. The user_id setting in "
            "data/mapping.yaml has changed since one of them was written. Clean all drops again: dvc repro"
        )


def _has_refunds(coverage: Path, drop: date) -> bool:
    path = coverage / f"{drop}.json"
    if not path.exists():
        raise UserError(f"{path} is missing: the payments of {drop} have not been cleaned. Run: dvc repro")
    counts: dict[str, Any] = read_json(path)["PAYMENTS.csv"]
    return bool(counts.get("refunds"))


def _read(engine: Engine, folder: Path, drop: date, name: str) -> ir.Table:
    path = folder / str(drop) / name
    if not path.exists():
        raise UserError(
            f"{path} is missing. Get it: make pull DROP={drop}; or make it: dvc repro build_features@{drop}"
        )
    return engine.read(path)
