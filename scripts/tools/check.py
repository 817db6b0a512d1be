"""Look at a delivery, and change nothing: how it would be read, what would be rejected, how it differs from the last.

Reads
    SOURCE with the five CSVs, as for ingest; params.yaml, data/mapping.yaml; the last drop, if there is one
Writes
    mapping.proposed.yaml if the files differ from the contract: how they seem to be written, with the evidence
    with --accept: data/mapping.yaml, from the proposal
"""

import argparse
from datetime import date
from pathlib import Path

from churn.base.command import run_command
from churn.data.mapping import MAPPING
from churn.deliveries.advise import PROPOSED, accept_proposal, check_delivery
from churn.deliveries.rules import read_rules


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder with the five CSVs")
    parser.add_argument("--accept", action="store_true", help=f"first move {PROPOSED} to {MAPPING}")
    parser.add_argument("--raw", type=Path, default=Path("data/raw"), help="folder of the drops (data/raw)")
    parser.add_argument("--list", type=Path, default=Path("data/drops.yaml"), help="list of drops (data/drops.yaml)")
    parser.add_argument("--mapping", type=Path, default=MAPPING, help=f"how the files are written ({MAPPING})")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    if args.accept:
        accept_proposal(PROPOSED, args.mapping)
    rules = read_rules(args.params, args.mapping)
    check_delivery(args.source, args.raw, args.list, date.today(), rules, PROPOSED)


if __name__ == "__main__":
    run_command(main)
