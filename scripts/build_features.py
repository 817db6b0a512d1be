"""Compute the features of one drop as of its own date.

Reads
    data/clean/<drop>/payments_clean.parquet, user_base.parquet
Writes
    churn_features.parquet: user_id (int64), as_of_date (date), the features of churn.features (float64, null where
    unknown); one row for every user with a payment in the lookback; sorted by user
    build_features/<drop>.json: users with features; payers, and how many of them each user file does not know; users
    of the files who never pay
"""

import argparse
from datetime import date
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend

from churn.as_of import check_lookback
from churn.clean_drops import fetch_row, open_drop, read_payments, read_users
from churn.command import parse_drop, run_command
from churn.contract import USER, USER_FILES, presence_column
from churn.features import compute_features
from churn.files import write_json, write_whole
from churn.params import read_section


def build_features(clean: Path, drop: date, output: Path, metrics: Path, params: dict) -> None:
    """Write the features of the drop's users, and how the payments and the user files overlap.

    Parameters
    ----------
    clean : Path
        Folder of the cleaned drops.
    drop : date
        The drop, and the as-of date.
    output : Path
        The Parquet file to write.
    metrics : Path
        The JSON file to write.
    params : dict
        Section build_features of params.yaml.

    Raises
    ------
    UserError
        When the drop's payments do not cover the lookback.
    """
    connection = ibis.duckdb.connect()
    lookback_days = params["lookback_days"]
    check_lookback(open_drop(connection, clean, drop), drop, lookback_days)
    payments, users = read_payments(connection, clean, drop), read_users(connection, clean, drop)
    features = compute_features(payments, users, drop, drop, lookback_days).order_by("user_id")
    with write_whole(output) as path:
        features.to_parquet(path, compression="zstd")
    counts = count_users(connection, payments, users)
    write_json({"users": pq.read_metadata(output).num_rows} | counts, metrics)


def count_users(connection: Backend, payments: ir.Table, users: ir.Table) -> dict:
    """Count who pays, whom of them the user files do not know, and whom the files know who never pays."""
    payers = payments.select(USER).distinct()
    columns = {name: presence_column(name) for name in USER_FILES}
    known = payers.left_join(users.select(USER, *columns.values()), USER)
    missing = [known.count(), *((~known[column].fill_null(False)).sum() for column in columns.values())]
    number, *unknown = fetch_row(connection, known.aggregate(missing))
    never = users.anti_join(payers, USER)
    (silent,) = fetch_row(connection, never.aggregate(never.count()))
    return {
        "payers": number,
        "payers_unknown_to": {name: int(count) for name, count in zip(columns, unknown, strict=True)},
        "users_who_never_pay": silent,
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clean", type=Path, required=True, help="folder of the cleaned drops")
    parser.add_argument("--drop", type=parse_drop, required=True, help="the drop's date, YYYY-MM-DD")
    parser.add_argument("--output", type=Path, required=True, help="Parquet file to write")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON file of counts to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params = read_section(args.params, "build_features")
    build_features(args.clean, args.drop, args.output, args.metrics, params)


if __name__ == "__main__":
    run_command(main)
