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
from functools import reduce
from pathlib import Path

import ibis
import ibis.expr.types as ir

from churn.command import parse_drop, run_command
from churn.contract import USER, USER_FILES, presence_column
from churn.engines import Engine, open_engine
from churn.params import read_params
from churn.quarantine import read_files, write_accounts, write_rejects


def build_user_base(
    engine: Engine, raw: Path, drop: date, user_base: Path, rejects: Path, metrics: Path, params: dict
) -> None:
    """Write one row for every user whom any of the four files knows.

    Parameters
    ----------
    engine : Engine
        What runs it.
    raw : Path
        Folder of the drop.
    drop : date
        The drop; a date in the files that is later makes a bad row.
    user_base, rejects : Path
        The table of users, a folder of Parquet files, and the Parquet file of bad rows to write.
    metrics : Path
        The JSON file to write.
    params : dict
        Section build_user_base of params.yaml.

    Raises
    ------
    UserError
        As `churn.quarantine.read_files` does.
    """
    user_base.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{user_base.name}.", dir=user_base.parent) as folder:
        found = read_files(engine, {raw / name: Path(folder, name) for name in USER_FILES}, drop, params)
        tables = [engine.read(Path(folder, name)).mutate(**{presence_column(name): True}) for name in USER_FILES]
        joined = reduce(join_users, tables)
        present = {column: joined[column].fill_null(False) for column in map(presence_column, USER_FILES)}
        engine.write(joined.mutate(**present), user_base, [USER])
    write_rejects({name: bad for name, (_, bad) in found.items()}, rejects)
    write_accounts({name: account for name, (account, _) in found.items()}, metrics)


def join_users(one: ir.Table, other: ir.Table) -> ir.Table:
    """Return one row for every user of two tables."""
    joined = one.outer_join(other, USER)
    return joined.mutate(**{USER: ibis.coalesce(joined[USER], joined[f"{USER}_right"])}).drop(f"{USER}_right")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path, required=True, help="folder of the drop")
    parser.add_argument("--drop", type=parse_drop, required=True, help="the drop's date, YYYY-MM-DD")
    parser.add_argument("--user-base", type=Path, required=True, help="folder of users to write")
    parser.add_argument("--rejects", type=Path, required=True, help="Parquet file of bad rows to write")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON file of counts to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params = read_params(args.params)
    with open_engine(params) as engine:
        build_user_base(
            engine, args.raw, args.drop, args.user_base, args.rejects, args.metrics, params["build_user_base"]
        )


if __name__ == "__main__":
    run_command(main)
