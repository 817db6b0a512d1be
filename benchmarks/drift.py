"""Measure time and memory of drift detection: `make bench-drift USERS=1000000`.

Reads
    scripts/measure_drift.py, scripts/detect_drift.py, params.yaml; models/candidate, from a run of the demo
Writes
    a Markdown table to standard output; other files to a temporary folder
"""

import argparse
import json
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from data_layer import add_up, measure
from model import make_rows

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

from churn.base.drops import START, read_drops, write_list  # noqa: E402

FIRST = date(2026, 1, 4)


def write_drops(folder: Path, users: int, drops: int) -> None:
    """Write the features of weekly drops, in which one user in a hundred changes, and the list of drops."""
    days = [FIRST + timedelta(weeks=week) for week in range(drops)]
    for week, day in enumerate(days):
        rows = make_rows(users, seed=week).drop_columns(["label"])
        ids = pa.array(range(week * users // 100, week * users // 100 + users), pa.int64())
        rows = rows.set_column(0, "user_id", ids).add_column(1, "as_of_date", pa.array([day] * users))
        target = folder / "features" / str(day)
        target.mkdir(parents=True)
        pq.write_table(rows, target / "churn_features.parquet", compression="zstd")
    write_list(folder / "drops.yaml", "own", days)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=1_000_000, help="users per drop; default: 1,000,000")
    parser.add_argument("--drops", type=int, default=9, help="number of weekly drops, including the newest; default: 9")
    args = parser.parse_args()
    if not (ROOT / "models/candidate").exists():
        sys.exit("models/candidate is missing. Make it: make run")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_drops(folder, args.users, args.drops)
        before = START
        for drop in read_drops(folder / "drops.yaml"):
            words = ["--drop", str(drop), "--before", before, "--features", folder / "features"]
            words += ["--drift", folder / "drift", "--metrics", folder / "measures"]
            week = measure(sys.executable, "scripts/measure_drift.py", *words)
            before = str(drop)
        inputs = {"measures": folder / "measures", "drops": folder / "drops.yaml", "model": "models/candidate"}
        inputs |= {"training-set": "metrics/build_training_set.json", "sample": folder / "drift" / before}
        outs = {"metrics": folder / "metrics.json", "report": folder / "report", "plots": folder / "plots"}
        words = [word for flag, path in (inputs | outs).items() for word in (f"--{flag}", path)]
        cost = add_up({"measure": week, "detect": measure(sys.executable, "scripts/detect_drift.py", *words)})
        content = json.loads((folder / "metrics.json").read_text())
    print("| users per drop | drops | users compared in the newest | seconds | peak memory |\n|---|---|---|---|---|")
    compared = f"{content['current_rows']:,} (one in {content['sampled_part']})"
    print(f"| {args.users:,} | {args.drops} | {compared} | {cost.seconds:.1f} | {cost.peak / 1e9:.2f} GB |")


if __name__ == "__main__":
    main()
