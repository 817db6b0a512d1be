"""Join the four user files of one drop into one row per user.

Reads
    data/raw/<drop>/ACTIVE_USER.csv, DEMOGRAFICOS.csv, DINERO_CUENTA.csv, MARKETPLACE_DATA.csv
    (columns: churn.data.contract)
Writes
    user_base.parquet: CUS_CUST_ID_BUY, every other column of the four files, null where a file does not contain
    the user, and in_<file> for each file, true where it does; sorted by user
    user_base_rejects.parquet: file, line, column, outcome (rejected, or nulled: the value is null), reason, raw
    build_user_base/<drop>.json: for each file the numbers of rows in, kept and rejected, and of rows per reason
"""

import argparse
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from churn.base.command import run_command
from churn.base.drops import parse_drop
from churn.base.files import scratch_folder, write_json
from churn.base.params import read_params
from churn.data.contract import USER, USER_FILES, presence_column
from churn.data.mapping import MAPPING, Mapping, read_mapping
from churn.data.quarantine import describe_counts, read_files, write_rejects
from churn.engines import Engine, open_engine


def build_user_base(
    engine: Engine,
    raw: Path,
    drop: date,
    user_base: Path,
    rejects: Path,
    metrics: Path,
    params: dict[str, Any],
    mapping: Mapping,
) -> None:
    """Write one row for every user in any of the four files.

    Parameters
    ----------
    engine : Engine
        The engine to run on.
    raw : Path
        Folder of the drop.
    drop : date
        The drop; a later date in the files makes a bad row.
    user_base, rejects : Path
        The table of users, a folder of Parquet files, and the Parquet file of bad rows to write.
    metrics : Path
        The JSON file to write.
    params : dict
        Section build_user_base of params.yaml.
    mapping : Mapping
        How the files are written.

    Raises
    ------
    UserError
        See `churn.data.quarantine.read_files`.
    """
    with scratch_folder(user_base) as folder:
        found = read_files(engine, {raw / name: folder / name for name in USER_FILES}, drop, params, mapping)
        tables = [engine.read(folder / name).mutate(**{presence_column(name): True}) for name in USER_FILES]
        joined = reduce(join_users, tables)
        present = {column: joined[column].fill_null(False) for column in map(presence_column, USER_FILES)}
        engine.write(joined.mutate(**present), user_base, [USER])
    write_rejects(found, rejects)
    write_json(describe_counts(found), metrics)


def join_users(one: ir.Table, other: ir.Table) -> ir.Table:
    """Return one row for every user in either table."""
    joined = one.outer_join(other, USER)
    return joined.mutate(**{USER: ibis.coalesce(joined[USER], joined[f"{USER}_right"])}).drop(f"{USER}_right")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path, required=True, help="folder of the drops; reads the files in <drop>")
    parser.add_argument("--drop", type=parse_drop, required=True, help="the drop's date, YYYY-MM-DD")
    parser.add_argument("--clean", type=Path, required=True, help="folder to write <drop>/user_base*.parquet in")
    parser.add_argument("--metrics", type=Path, required=True, help="folder to write <drop>.json in")
    parser.add_argument("--mapping", type=Path, default=MAPPING, help=f"how the files are written ({MAPPING})")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params, mapping = read_params(args.params), read_mapping(args.mapping)
    raw, folder = args.raw / str(args.drop), args.clean / str(args.drop)
    user_base, rejects = folder / "user_base.parquet", folder / "user_base_rejects.parquet"
    with open_engine(params) as engine:
        metrics = args.metrics / f"{args.drop}.json"
        build_user_base(engine, raw, args.drop, user_base, rejects, metrics, params["build_user_base"], mapping)


if __name__ == "__main__":
    run_command(main)
