"""Ingest a delivery of five CSVs: check it, copy it to data/raw/<drop>/, track it with DVC, add it to the list.

Reads
    SOURCE/PAYMENTS.csv, ACTIVE_USER.csv, DEMOGRAFICOS.csv, DINERO_CUENTA.csv, MARKETPLACE_DATA.csv, or any of them
    packed as .csv.gz (columns: churn.data.contract)
Writes
    data/raw/<drop>/ with the five files, its DVC pointer data/raw/<drop>.dvc, and the drop's line in data/drops.yaml

The list is written last, so that an interrupted command can be run again.
"""

import argparse
from datetime import date
from pathlib import Path

from churn.base.command import run_command
from churn.base.drops import parse_drop
from churn.data.mapping import MAPPING
from churn.deliveries.ingest import ingest_drop
from churn.deliveries.rules import read_rules


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder with the five CSVs")
    parser.add_argument("--drop", type=parse_drop, help="the drop's date, YYYY-MM-DD (newest FECHA in PAYMENTS.csv)")
    parser.add_argument("--raw", type=Path, default=Path("data/raw"), help="folder of the drops (data/raw)")
    parser.add_argument("--list", type=Path, default=Path("data/drops.yaml"), help="list of drops (data/drops.yaml)")
    parser.add_argument("--replace", action="store_true", help="replace a drop that exists with different content")
    parser.add_argument("--mapping", type=Path, default=MAPPING, help=f"how the files are written ({MAPPING})")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    rules = read_rules(args.params, args.mapping)
    ingest_drop(args.source, args.raw, args.list, args.drop, args.replace, date.today(), rules)


if __name__ == "__main__":
    run_command(main)
