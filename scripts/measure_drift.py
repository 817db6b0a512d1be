"""Measure how far one drop's features are from those of the drops before it.

Reads
    data/features/<drop>/churn_features.parquet, and data/drift/<drop before>/, which is empty for the first drop
Writes
    drift/<drop>/rows.parquet: user_id, as_of_date, card_type and the features, of a sample of the users of this drop
    and of the drops that it was compared with; the next drop is compared with the newest of them
    measure_drift/<drop>.json: drop and reference_drops (dates), rows and reference_rows (compared), sampled_part (n:
    one user in n is compared); `columns`, of each its missing values, new categories and distance. `reason` says why
    nothing could be measured, if so
"""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

from churn.base.command import run_command
from churn.base.drops import parse_drop
from churn.base.files import write_json, write_whole
from churn.base.params import read_section
from churn.drift.measures import compare_drops
from churn.drift.sample import add_drop, read_sample, sample_drop, write_sample


def measure_drift(
    features: Path, drop: date, before: Path, sample: Path, metrics: Path, params: dict[str, Any]
) -> None:
    """Compare a drop with those before it.

    Parameters
    ----------
    features : Path
        The drop's feature table.
    drop : date
        The drop.
    before, sample : Path
        What this wrote for the drop before, and the folder to write.
    metrics : Path
        JSON file to write.
    params : dict
        Section measure_drift of params.yaml.

    Raises
    ------
    UserError
        When the features are missing, damaged, or have other columns than those of the drops before.
    """
    new = sample_drop(features, drop, params["sample_users"])
    known = add_drop(read_sample(before), new, params["reference_drops"])
    current, reference, part = known.split(drop)
    found = compare_drops(current, reference, params)
    about = {"drop": str(drop), "reference_drops": [str(day) for day in known.parts if day != drop]}
    with write_whole(sample) as folder:
        write_sample(known, folder)
    write_json(about | {"sampled_part": part} | found, metrics)
    measured = sum("statistic" in record for record in found["columns"])
    print(f"{measured} columns of {found['rows']} users compared with {found['reference_rows']} earlier rows")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, required=True, help="folder of the drops' features")
    parser.add_argument("--drop", type=parse_drop, required=True, help="the drop's date, YYYY-MM-DD")
    parser.add_argument("--before", required=True, help="the drop before it, or the name of an empty folder")
    parser.add_argument("--drift", type=Path, required=True, help="folder to write <drop>/rows.parquet in")
    parser.add_argument("--metrics", type=Path, required=True, help="folder to write <drop>.json in")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    features, drop = args.features / str(args.drop) / "churn_features.parquet", str(args.drop)
    params = read_section(args.params, "measure_drift")
    measure_drift(
        features, args.drop, args.drift / args.before, args.drift / drop, args.metrics / f"{drop}.json", params
    )


if __name__ == "__main__":
    run_command(main)
