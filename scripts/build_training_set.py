"""Build the training rows and the holdout: features and label at as-of dates in the past.

How the dates are chosen, and which drop each fact is read from: churn.features.as_of.

Reads
    data/features/<drop>/churn_features.parquet, for as-of dates that are the date of a drop
    data/clean/<drop>/payments_clean.parquet, for labels and, with user_base.parquet, for other as-of dates
    metrics/clean_payments/<drop>.json of every drop in data/drops.yaml
Writes
    train.parquet, holdout.parquet: user_id, as_of_date, card_type, the features (float64, null if unknown), label
    (int32, 1 churned); sorted by as-of date and user
    build_training_set.json: the dates, with rows and churn rate, the features unknown in every training row; the
    limits of dates and rows, how many older dates are left out, and users_part (n: one user in n is kept); the source
    of the drops; the digests of the label's and of each feature's expression
"""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from churn.base.command import UserError, run_command
from churn.base.drops import read_drops, read_list
from churn.base.files import write_json
from churn.base.params import read_params
from churn.engines import Engine, open_engine
from churn.features.as_of import Dates, Windows
from churn.features.coverage import Sources, allowed_silence, find_dates, find_sources, open_drop
from churn.features.definitions import compute_features, compute_labels
from churn.features.meanings import digest_features, digest_label
from churn.features.sources import (
    check_user_ids,
    read_features,
    read_payments,
    read_refunds,
    read_users,
    source_tables,
)
from churn.features.table import feature_names
from churn.features.user_part import is_in_part


def build_training_set(
    engine: Engine,
    clean: Path,
    features: Path,
    coverage: Path,
    drops: Path,
    train: Path,
    holdout: Path,
    metrics: Path,
    params: dict[str, Any],
) -> None:
    """Write the training rows, the holdout and their metrics.

    Parameters
    ----------
    engine : Engine
        The engine to run on.
    clean, features : Path
        Folders of the cleaned drops and of their features.
    coverage : Path
        Folder of the metrics of clean_payments.
    drops : Path
        data/drops.yaml, the list of drops.
    train, holdout : Path
        The tables to write, folders of Parquet files.
    metrics : Path
        The JSON file to write.
    params : dict
        `lookback_days` (section build_features); `horizon_days`, `as_of_dates`, `max_training_dates` and
        `max_training_rows` (section build_training_set).

    Raises
    ------
    UserError
        When the history is too short, the listed dates cannot be used, or user ids are whole numbers in some drops and
        text in others.
    """
    silence = allowed_silence(params["horizon_days"])
    opened = [open_drop(coverage, drop, silence) for drop in read_drops(drops)]
    dates, windows = find_dates(opened, params)
    sources = {day: find_sources(opened, day, windows) for day in dates.all}
    check_user_ids(path for day in dates.all for path in source_tables(clean, sources[day], features))
    known = {
        day: find_features(engine, clean, features, coverage, sources[day], day, windows.lookback) for day in dates.all
    }
    rows = {day: count_rows(engine, day, table) for day, table in known.items()}
    part = choose_part(engine, [known[day] for day in dates.training], params["max_training_rows"])
    labelled = {
        day: compute_labels(
            [read_payments(engine, clean, coverage, drop) for drop in sources[day].label], table, day, windows.horizon
        )
        for day, table in known.items()
    }
    train_rows = keep_part(union([labelled[day] for day in dates.training]), part)
    for table, target in (train_rows, train), (labelled[dates.holdout], holdout):
        engine.write(table, target, ["as_of_date", "user_id"])
    summary = summarize(engine, [engine.read(train), engine.read(holdout)], dates, windows)
    limits = {
        "max_training_dates": params["max_training_dates"],
        "training_dates_left_out": dates.left_out,
        "max_training_rows": params["max_training_rows"],
        "training_rows_left_out": sum(rows[day] - summary["as_of_dates"][str(day)]["rows"] for day in dates.training),
        "users_part": part,
    }
    source, _ = read_list(drops)
    meaning = {"source": source, "feature_digests": digest_features(), "label_digest": digest_label()}
    write_json(summary | limits | meaning, metrics)
    print(f"as-of dates: training {', '.join(map(str, dates.training))}; holdout {dates.holdout}")
    if dates.left_out or part > 1:
        rows_left_out = limits["training_rows_left_out"]
        print(f"left out: {dates.left_out} older dates, {rows_left_out} rows (one user in {part} is kept)")


def find_features(
    engine: Engine, clean: Path, features: Path, coverage: Path, sources: Sources, as_of: date, lookback_days: int
) -> ir.Table:
    """Return the features of an as-of date: those of the drop with this date, or computed now, from earlier facts."""
    if sources.features:
        return read_features(engine, features, sources.features)
    assert sources.users and sources.payments, "the features are computed"
    users = read_users(engine, clean, sources.users)
    payments, refunds = (read(engine, clean, coverage, sources.payments) for read in (read_payments, read_refunds))
    # Computed once, because counts and rows read it.
    return engine.keep(compute_features(payments, users, sources.users, as_of, lookback_days, refunds))


def count_rows(engine: Engine, as_of: date, users: ir.Table) -> int:
    """Count the users of an as-of date; there must be some."""
    ((number,),) = engine.fetch(users.aggregate(users.count()))
    if not number:
        raise UserError(
            f"No user has a payment in the lookback before {as_of}. Deliver more payments, or raise "
            "build_features.lookback_days in params.yaml."
        )
    return int(number)


def choose_part(engine: Engine, tables: list[ir.Table], most: int) -> int:
    """Return n, a power of two, for one user in n, so that the tables have at most `most` rows together.

    A larger n keeps some of the users that a smaller one keeps.
    """
    ids = union([table.select("user_id") for table in tables])
    part = 1
    while True:
        kept = keep_part(ids, part)
        ((rows,),) = engine.fetch(kept.aggregate(kept.count()))
        if rows <= most:
            return part
        part *= 2


def keep_part(rows: ir.Table, part: int) -> ir.Table:
    """Return the rows of one user in `part`."""
    return rows.filter(is_in_part(rows.user_id, part)) if part > 1 else rows


def union(tables: list[ir.Table]) -> ir.Table:
    """Return the rows of all tables."""
    return ibis.union(*tables) if tables[1:] else tables[0]


def summarize(engine: Engine, written: list[ir.Table], dates: Dates, windows: Windows) -> dict[str, Any]:
    """Count rows and churners at each date, and list the features that are unknown in every training row."""
    train = written[0]
    features = feature_names(train.columns)
    (known,) = engine.fetch(train.aggregate([train[name].count() for name in features]))
    counts = {
        day: {"rows": rows, "churned": int(churned), "churn_rate": churned / rows}
        for table in written
        for day, rows, churned in engine.fetch(
            table.group_by("as_of_date").aggregate(rows=table.count(), churned=table.label.sum())
        )
    }
    nobody = {"rows": 0, "churned": 0, "churn_rate": 0.0}
    return {
        "training_dates": [str(day) for day in dates.training],
        "holdout_date": str(dates.holdout),
        "horizon_days": windows.horizon,
        "lookback_days": windows.lookback,
        "as_of_dates": {str(day): counts.get(day, nobody) for day in dates.all},
        "features_unknown": [name for name, count in zip(features, known, strict=True) if count == 0],
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clean", type=Path, required=True, help="folder of the cleaned drops")
    parser.add_argument("--features", type=Path, required=True, help="folder of the drops' features")
    parser.add_argument("--coverage", type=Path, required=True, help="folder of the metrics of clean_payments")
    parser.add_argument("--drops", type=Path, required=True, help="list of the drops, data/drops.yaml")
    parser.add_argument("--train", type=Path, required=True, help="folder of training rows to write")
    parser.add_argument("--holdout", type=Path, required=True, help="folder of holdout rows to write")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    sections = read_params(args.params)
    params = sections["build_features"] | sections["build_training_set"]
    with open_engine(sections) as engine:
        build_training_set(
            engine,
            args.clean,
            args.features,
            args.coverage,
            args.drops,
            args.train,
            args.holdout,
            args.metrics,
            params,
        )


if __name__ == "__main__":
    run_command(main)
