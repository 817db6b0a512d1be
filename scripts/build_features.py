"""Compute the features of one drop as of its date.

Reads
    data/clean/<drop>/payments_clean.parquet, user_base.parquet; metrics/clean_payments/<drop>.json
Writes
    churn_features.parquet: user_id (int64 or text, as in the clean tables), as_of_date (date), card_type (text), the
    features (float64, null if unknown); one row for every user with a payment in the lookback; sorted by user
    build_features/<drop>.json: number of users with features; of payers, and of payers missing from each user file; of
    users in the files who never pay; the lookback, and the digest of each feature's expression
"""

import argparse
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis.expr.types as ir

from churn.base.command import run_command
from churn.base.drops import parse_drop
from churn.base.files import write_json
from churn.base.params import read_params
from churn.data.contract import USER, USER_FILES, presence_column
from churn.engines import Engine, open_engine
from churn.features.as_of import check_lookback
from churn.features.coverage import MOST_SILENT, Sources, open_drop
from churn.features.definitions import compute_features
from churn.features.meanings import digest_features
from churn.features.sources import check_user_ids, read_payments, read_refunds, read_users, source_tables


def build_features(
    engine: Engine, clean: Path, coverage: Path, drop: date, output: Path, metrics: Path, params: dict[str, Any]
) -> None:
    """Write the features of the drop's users, and count how payments and user files overlap.

    Parameters
    ----------
    engine : Engine
        The engine to run on.
    clean : Path
        Folder of the cleaned drops.
    coverage : Path
        Folder of the metrics of clean_payments.
    drop : date
        The drop; its date is the as-of date.
    output : Path
        The table to write, a folder of Parquet files.
    metrics : Path
        The JSON file to write.
    params : dict
        Section build_features of params.yaml.

    Raises
    ------
    UserError
        When the drop's payments do not cover the lookback, or user ids are whole numbers in one table and text in the
        other.
    """
    lookback_days = params["lookback_days"]
    covered = open_drop(coverage, drop, MOST_SILENT)
    check_lookback(covered, drop, lookback_days)
    if not covered.covers(drop - timedelta(days=lookback_days - 1), drop):
        print(f"WARNING: within the lookback of {lookback_days} days are more than 30 without a payment: {covered}")
    check_user_ids(source_tables(clean, Sources(payments=drop, users=drop)))
    payments, refunds = (read(engine, clean, coverage, drop) for read in (read_payments, read_refunds))
    users = read_users(engine, clean, drop)
    features = compute_features(payments, users, drop, drop, lookback_days, refunds)
    rows = engine.write(features, output, ["user_id"])
    meaning = {"lookback_days": lookback_days, "feature_digests": digest_features()}
    write_json({"users": rows} | count_users(engine, payments, users) | meaning, metrics)


def count_users(engine: Engine, payments: ir.Table, users: ir.Table) -> dict[str, Any]:
    """Count the payers, the payers missing from each user file, and the users in the files who never pay."""
    payers = engine.keep(payments.select(USER).distinct())
    columns = {name: presence_column(name) for name in USER_FILES}
    known = payers.left_join(users.select(USER, *columns.values()), USER)
    missing = [known.count(), *((~known[column].fill_null(False)).sum() for column in columns.values())]
    ((paying, *unknown),) = engine.fetch(known.aggregate(missing))
    never = users.anti_join(payers, USER)
    ((silent,),) = engine.fetch(never.aggregate(never.count()))
    return {
        "payers": paying,
        "payers_unknown_to": {name: int(count) for name, count in zip(columns, unknown, strict=True)},
        "users_who_never_pay": silent,
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clean", type=Path, required=True, help="folder of the cleaned drops")
    parser.add_argument("--coverage", type=Path, required=True, help="folder of the metrics of clean_payments")
    parser.add_argument("--drop", type=parse_drop, required=True, help="the drop's date, YYYY-MM-DD")
    parser.add_argument("--features", type=Path, required=True, help="folder to write <drop>/churn_features.parquet in")
    parser.add_argument("--metrics", type=Path, required=True, help="folder to write <drop>.json in")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params = read_params(args.params)
    output, metrics = args.features / str(args.drop) / "churn_features.parquet", args.metrics / f"{args.drop}.json"
    with open_engine(params) as engine:
        build_features(engine, args.clean, args.coverage, args.drop, output, metrics, params["build_features"])


if __name__ == "__main__":
    run_command(main)
