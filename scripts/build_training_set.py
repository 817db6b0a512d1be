"""Build the training rows and the holdout: features and label at as-of dates in the past.

How the dates are chosen, and which drop each fact is read from: churn.features.as_of.

Reads
    data/clean/<drop>/payments_clean.parquet, user_base.parquet of every drop in data/drops.yaml
Writes
    train.parquet, holdout.parquet: user_id, as_of_date, card_type, the features (float64, null if unknown), label
    (int32, 1 churned); sorted by as-of date and user
    build_training_set.json: the dates, with rows and churn rate, and the features unknown in every training row
"""

import argparse
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from churn.base.command import UserError, run_command
from churn.base.drops import read_drops
from churn.base.files import write_json
from churn.base.params import read_params
from churn.engines import Engine, open_engine
from churn.features.as_of import (
    Drop,
    check_lookback,
    choose_as_of_dates,
    earliest_since,
    newest_until,
    take_as_of_dates,
)
from churn.features.definitions import compute_features, compute_labels
from churn.features.sources import open_drop, read_payments, read_users
from churn.features.table import feature_names


def build_training_set(
    engine: Engine, clean: Path, drops: Path, train: Path, holdout: Path, metrics: Path, params: dict[str, Any]
) -> None:
    """Write the training rows, the holdout and their metrics.

    Parameters
    ----------
    engine : Engine
        The engine to run on.
    clean : Path
        Folder of the cleaned drops.
    drops : Path
        data/drops.yaml, the list of drops.
    train, holdout : Path
        The tables to write, folders of Parquet files.
    metrics : Path
        The JSON file to write.
    params : dict
        `lookback_days` (section build_features), `horizon_days` and `as_of_dates` (section build_training_set).

    Raises
    ------
    UserError
        When the history is too short, or the listed dates cannot be used.
    """
    opened = [open_drop(engine, clean, drop) for drop in read_drops(drops)]
    windows = params["lookback_days"], params["horizon_days"]
    listed = [date.fromisoformat(day) for day in params["as_of_dates"]]
    training_dates, holdout_date = (
        take_as_of_dates(opened, listed, *windows) if listed else choose_as_of_dates(opened, *windows)
    )
    rows = {day: label_features(engine, clean, opened, day, params) for day in (*training_dates, holdout_date)}
    train_rows = ibis.union(*(rows[day] for day in training_dates)) if training_dates[1:] else rows[training_dates[0]]
    for table, target in (train_rows, train), (rows[holdout_date], holdout):
        engine.write(table, target, ["as_of_date", "user_id"])
    summary = summarize(engine, rows, train_rows, training_dates, holdout_date, params)
    write_json(summary, metrics)
    print(f"as-of dates: training {', '.join(map(str, training_dates))}; holdout {holdout_date}")


def label_features(engine: Engine, clean: Path, drops: list[Drop], as_of: date, params: dict[str, Any]) -> ir.Table:
    """Compute the features and labels of one as-of date, each from the right drop (`churn.features.as_of`)."""
    history = earliest_since(drops, as_of)
    check_lookback(history, as_of, params["lookback_days"])
    known = newest_until(drops, as_of) or min(drops, key=lambda drop: drop.date)
    users = read_users(engine, clean, known.date)
    payments = read_payments(engine, clean, history.date)
    features = compute_features(payments, users, known.date, as_of, params["lookback_days"])
    future = earliest_since(drops, as_of + timedelta(days=params["horizon_days"]))
    # Computed once, because the union and both counts read it.
    labelled = compute_labels(read_payments(engine, clean, future.date), features, as_of, params["horizon_days"])
    return engine.keep(labelled)


def summarize(
    engine: Engine,
    rows: dict[date, ir.Table],
    train_rows: ir.Table,
    training_dates: list[date],
    holdout_date: date,
    params: dict[str, Any],
) -> dict[str, Any]:
    """Count rows and churners at each date, and list the features that are unknown in every training row."""
    features = feature_names(train_rows.columns)
    (known,) = engine.fetch(train_rows.aggregate([train_rows[name].count() for name in features]))
    return {
        "training_dates": [str(day) for day in training_dates],
        "holdout_date": str(holdout_date),
        "horizon_days": params["horizon_days"],
        "lookback_days": params["lookback_days"],
        "as_of_dates": {str(day): _count(engine, day, table) for day, table in rows.items()},
        "features_unknown": [name for name, count in zip(features, known, strict=True) if count == 0],
    }


def _count(engine: Engine, day: date, table: ir.Table) -> dict[str, Any]:
    ((rows, churned),) = engine.fetch(table.aggregate([table.count(), table.label.sum()]))
    if not rows:
        raise UserError(
            f"No user has a payment in the lookback before {day}. Deliver more payments, or raise "
            "build_features.lookback_days in params.yaml."
        )
    return {"rows": rows, "churned": int(churned), "churn_rate": churned / rows}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clean", type=Path, required=True, help="folder of the cleaned drops")
    parser.add_argument("--drops", type=Path, required=True, help="list of the drops, data/drops.yaml")
    parser.add_argument("--train", type=Path, required=True, help="folder of training rows to write")
    parser.add_argument("--holdout", type=Path, required=True, help="folder of holdout rows to write")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    sections = read_params(args.params)
    params = sections["build_features"] | sections["build_training_set"]
    with open_engine(sections) as engine:
        build_training_set(engine, args.clean, args.drops, args.train, args.holdout, args.metrics, params)


if __name__ == "__main__":
    run_command(main)
