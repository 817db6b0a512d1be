"""Join the four user files of one drop into one row a user.

Reads
    data/raw/<drop>/ACTIVE_USER.csv, DEMOGRAFICOS.csv, DINERO_CUENTA.csv, MARKETPLACE_DATA.csv (columns: churn.contract)
Writes
    user_base.parquet: CUS_CUST_ID_BUY, every other column of the four files, null where a file does not know the
    user, and in_<file> for each, true where it does; sorted by user
    user_base_rejects.parquet: file, line, column, reason, raw
    build_user_base/<drop>.json: for each file its rows in, kept and rejected, and the reasons with their counts
"""

import argparse
import tempfile
from datetime import date
from pathlib import Path

from churn.command import parse_drop, run_command
from churn.contract import USER, USER_FILES, presence_column
from churn.params import read_section
from churn.quarantine import connect, read_file, write_accounts, write_parquet, write_rejects


def build_user_base(raw: Path, drop: date, user_base: Path, rejects: Path, metrics: Path, params: dict) -> None:
    """Write one row for every user whom any of the four files knows.

    Parameters
    ----------
    raw : Path
        Folder of the drop.
    drop : date
        The drop; a date in the files that is later makes a bad row.
    user_base, rejects : Path
        The Parquet files to write.
    metrics : Path
        The JSON file to write.
    params : dict
        Section build_user_base of params.yaml.

    Raises
    ------
    UserError
        As `churn.quarantine.read_file` does.
    """
    connection = connect()
    with tempfile.TemporaryDirectory() as folder:
        good = {name: Path(folder, f"{name}.parquet") for name in USER_FILES}
        found = {name: read_file(connection, raw / name, good[name], drop, params) for name in USER_FILES}
        tables = [f"(SELECT *, true AS {presence_column(name)} FROM '{good[name]}')" for name in USER_FILES]
        joined = tables[0] + "".join(f" FULL JOIN {table} USING ({USER})" for table in tables[1:])
        present = ", ".join(f"coalesce({column}, false) AS {column}" for column in map(presence_column, USER_FILES))
        write_parquet(connection, f"SELECT * REPLACE ({present}) FROM {joined} ORDER BY {USER}", user_base)
    write_rejects({name: bad for name, (_, bad) in found.items()}, rejects)
    write_accounts({name: account for name, (account, _) in found.items()}, metrics)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path, required=True, help="folder of the drop")
    parser.add_argument("--drop", type=parse_drop, required=True, help="the drop's date, YYYY-MM-DD")
    parser.add_argument("--user-base", type=Path, required=True, help="Parquet file of users to write")
    parser.add_argument("--rejects", type=Path, required=True, help="Parquet file of bad rows to write")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON file of counts to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params = read_section(args.params, "build_user_base")
    build_user_base(args.raw, args.drop, args.user_base, args.rejects, args.metrics, params)


if __name__ == "__main__":
    run_command(main)
