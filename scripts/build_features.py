"""Compute the features of one drop as of its own date.

Reads
    data/clean/<drop>/payments_clean.parquet, user_base.parquet
Writes
    churn_features.parquet: user_id (int64), as_of_date (date), the features of churn.features (float64, null where
    unknown); one row for every user with a payment in the lookback; sorted by user
"""

import argparse
from datetime import date
from pathlib import Path

import ibis

from churn.as_of import check_lookback
from churn.clean_drops import open_drop, read_payments, read_users
from churn.command import parse_drop, run_command
from churn.features import compute_features
from churn.files import write_whole
from churn.params import read_section


def build_features(clean: Path, drop: date, output: Path, params: dict) -> None:
    """Write the features of the drop's users.

    Parameters
    ----------
    clean : Path
        Folder of the cleaned drops.
    drop : date
        The drop, and the as-of date.
    output : Path
        The Parquet file to write.
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
    features = compute_features(payments, users, drop, lookback_days).order_by("user_id")
    with write_whole(output) as path:
        features.to_parquet(path, compression="zstd")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clean", type=Path, required=True, help="folder of the cleaned drops")
    parser.add_argument("--drop", type=parse_drop, required=True, help="the drop's date, YYYY-MM-DD")
    parser.add_argument("--output", type=Path, required=True, help="Parquet file to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    build_features(args.clean, args.drop, args.output, read_section(args.params, "build_features"))


if __name__ == "__main__":
    run_command(main)
