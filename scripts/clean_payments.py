"""Clean one drop's payments: write the good rows, typed, and the bad rows with their reasons.

Reads
    data/raw/<drop>/PAYMENTS.csv (columns: churn.data.contract)
Writes
    payments_clean.parquet: FECHA (date), CUS_CUST_ID_SEL, CUS_CUST_ID_BUY, SPENT (decimal, 2 digits),
    TPV_SEGMENT_DETAIL, DESCUENTO (decimal, fraction); in the order of the CSV
    payments_rejects.parquet: file, line, column, outcome (rejected, or nulled: the value is null), reason, raw
    clean_payments/<drop>.json: numbers of rows in, kept and rejected, and of rows per reason; `covered`, the first and
    last day of each span of days with payments
"""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

from churn.base.command import run_command
from churn.base.drops import parse_drop
from churn.base.files import write_json
from churn.base.params import read_params
from churn.data.mapping import MAPPING, Mapping, read_mapping
from churn.data.payment_days import find_spans
from churn.data.quarantine import describe_counts, read_files, write_rejects
from churn.engines import Engine, open_engine


def clean_payments(
    engine: Engine,
    payments: Path,
    drop: date,
    clean: Path,
    rejects: Path,
    metrics: Path,
    params: dict[str, Any],
    mapping: Mapping,
) -> None:
    """Split PAYMENTS.csv into good rows (`clean`) and bad rows (`rejects`), and count both.

    Parameters
    ----------
    engine : Engine
        The engine to run on.
    payments : Path
        PAYMENTS.csv of the drop.
    drop : date
        The drop; a payment after its date is a bad row.
    clean, rejects : Path
        The table of good rows, a folder of Parquet files, and the Parquet file of bad ones to write.
    metrics : Path
        The JSON file to write.
    params : dict
        Section clean_payments of params.yaml.
    mapping : Mapping
        How the files are written.

    Raises
    ------
    UserError
        See `churn.data.quarantine.read_files`.
    """
    found = read_files(engine, {payments: clean}, drop, params, mapping)
    write_rejects(found, rejects)
    counts = describe_counts(found)
    spans = find_spans(found[payments.name].days)
    counts[payments.name]["covered"] = [[str(first), str(last)] for first, last in spans]
    write_json(counts, metrics)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path, required=True, help="folder of the drops; reads <drop>/PAYMENTS.csv")
    parser.add_argument("--drop", type=parse_drop, required=True, help="the drop's date, YYYY-MM-DD")
    parser.add_argument("--clean", type=Path, required=True, help="folder to write <drop>/payments_*.parquet in")
    parser.add_argument("--metrics", type=Path, required=True, help="folder to write <drop>.json in")
    parser.add_argument("--mapping", type=Path, default=MAPPING, help=f"how the files are written ({MAPPING})")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params, mapping = read_params(args.params), read_mapping(args.mapping)
    payments, folder = args.raw / str(args.drop) / "PAYMENTS.csv", args.clean / str(args.drop)
    clean, rejects = folder / "payments_clean.parquet", folder / "payments_rejects.parquet"
    with open_engine(params) as engine:
        metrics = args.metrics / f"{args.drop}.json"
        clean_payments(engine, payments, args.drop, clean, rejects, metrics, params["clean_payments"], mapping)


if __name__ == "__main__":
    run_command(main)
