"""Join the four user files of one drop into one row a user.

Reads
    data/raw/<drop>/ACTIVE_USER.csv, DEMOGRAFICOS.csv, DINERO_CUENTA.csv, MARKETPLACE_DATA.csv (columns: churn.contract)
Writes
    user_base.parquet: CUS_CUST_ID_BUY and every other column of the four files, null where a file does not
    know the user; sorted by user
    user_base_rejects.parquet: file, line, column, reason, raw
"""

import argparse
from datetime import date
from pathlib import Path

from churn.command import parse_drop, run_command
from churn.contract import FILES, USER
from churn.params import read_section
from churn.quarantine import connect, read_file, write_parquet, write_rejects

USER_FILES = [name for name in FILES if name != "PAYMENTS.csv"]


def build_user_base(raw: Path, drop: date, user_base: Path, rejects: Path, params: dict) -> None:
    """Write one row for every user whom any of the four files knows.

    Parameters
    ----------
    raw : Path
        Folder of the drop.
    drop : date
        The drop; a date in the files that is later makes a bad row.
    user_base, rejects : Path
        The Parquet files to write.
    params : dict
        Section build_user_base of params.yaml.

    Raises
    ------
    UserError
        As `churn.quarantine.read_file` does.
    """
    connection = connect()
    tables = [read_file(connection, raw / name, drop, params["max_reject_share"]) for name in USER_FILES]
    joined = tables[0] + "".join(f" FULL JOIN {table} USING ({USER})" for table in tables[1:])
    write_parquet(connection, f"SELECT * FROM {joined} ORDER BY {USER}", user_base)
    write_rejects(connection, rejects)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path, required=True, help="folder of the drop")
    parser.add_argument("--drop", type=parse_drop, required=True, help="the drop's date, YYYY-MM-DD")
    parser.add_argument("--user-base", type=Path, required=True, help="Parquet file of users to write")
    parser.add_argument("--rejects", type=Path, required=True, help="Parquet file of bad rows to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    build_user_base(args.raw, args.drop, args.user_base, args.rejects, read_section(args.params, "build_user_base"))


if __name__ == "__main__":
    run_command(main)
