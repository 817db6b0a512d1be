"""Measure training, compared with plain PySpark, and scoring: `make bench-model ROWS=20000 FAMILY=random_forest`.

Reads
    scripts/train_model.py, register_candidate.py; params.yaml; benchmarks/bare_spark.py
Writes
    Markdown tables to standard output; other files to a temporary folder
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).parents[1]
HOLDOUT_ROWS = 10_000
SCORED_ROWS = 1_000_000
FEATURES = {
    "days": ("days_since_last_payment", "days_since_first_payment", "recency_ml_days"),
    "counts": (
        *("payments_last_30d", "payments_last_60d", "active_days", "distinct_sellers", "distinct_segments"),
        *("mau_mp_1", "mau_ml_1", "mau_ml_2", "frequency_ml", "age"),
    ),
    "amounts": ("payments_sum", "saldo_mes_actual", "saldo_mes_previo", "balance_change", "spent_ml"),
    "flags": ("has_investment", "gender_is_female", "avg_discount"),
}
# Runs in its own process, so that only what scoring needs is loaded.
SCORE = """
import sys, time
import mlflow, pyarrow.parquet as pq
model = mlflow.pyfunc.load_model(sys.argv[1])
frame = pq.read_table(sys.argv[2]).to_pandas()
model.predict(frame.head(10))
begin = time.perf_counter()
model.predict(frame)
print(time.perf_counter() - begin)
"""


def make_rows(rows: int, seed: int) -> pa.Table:
    """Return labelled rows with the columns of a training set; one value in ten is unknown."""
    generator = np.random.default_rng(seed)
    draw = {
        "days": lambda: generator.integers(0, 90, rows).astype(float),
        "counts": lambda: generator.poisson(8, rows).astype(float),
        "amounts": lambda: np.round(generator.normal(0, 1, rows) * np.exp(generator.normal(4, 2, rows)), 2),
        "flags": lambda: generator.integers(0, 2, rows).astype(float),
    }
    columns = {name: draw[kind]() for kind, names in FEATURES.items() for name in names}
    odds = 0.04 * (columns["days_since_last_payment"] - 60) - 0.15 * (columns["mau_mp_1"] - 8)
    label = (generator.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int32)
    for values in columns.values():
        values[generator.random(rows) < 0.1] = np.nan
    keys = {"user_id": pa.array(np.arange(rows)), "card_type": pa.array(["GOLD"] * rows)}
    return pa.table(
        keys | {name: pa.array(values, from_pandas=True) for name, values in columns.items()} | {"label": label}
    )


def seconds(*command: object) -> float:
    """Return how many seconds a command takes; it must succeed."""
    begin = time.perf_counter()
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - begin


def train(folder: Path, name: str, params: Path, master: str = "local[2]") -> tuple[float, dict]:
    """Run the stage; return the seconds it took, and its metrics."""
    outputs = [(f"--{output}", folder / name / output) for output in ("model", "metrics", "plots")]
    inputs = [(f"--{table}", folder / f"{table}.parquet") for table in ("train", "holdout")]
    arguments = [part for pair in inputs + outputs for part in pair]
    took = seconds(sys.executable, "scripts/train_model.py", *arguments, "--params", params, "--master", master)
    return took, json.loads((folder / name / "metrics").read_text())


def score(folder: Path, candidate: Path) -> float:
    """Save a candidate as registration does, and return the seconds that scoring a million rows takes."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from churn.release.candidate import save_scorer

    example = pq.read_table(folder / "holdout.parquet").slice(0, 5)
    save_scorer(candidate / "scorer.onnx", example, folder / "registered")
    pq.write_table(make_rows(SCORED_ROWS, seed=3), folder / "scored.parquet")
    command = [sys.executable, "-c", SCORE, str(folder / "registered"), str(folder / "scored.parquet")]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Make rows, measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000, help="training rows; default: 20,000")
    parser.add_argument("--family", default="logistic_regression", help="model family; default: logistic_regression")
    args = parser.parse_args()
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["train_model"]["family"] = args.family
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pq.write_table(make_rows(args.rows, seed=1), folder / "train.parquet")
        pq.write_table(make_rows(HOLDOUT_ROWS, seed=2), folder / "holdout.parquet")
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        files = [folder / file for file in ("train.parquet", "holdout.parquet", "params.yaml")]
        bare = seconds(sys.executable, Path(__file__).with_name("bare_spark.py"), *files)
        ours, metrics = train(folder, "two", folder / "params.yaml")
        _, one_core = train(folder, "one", folder / "params.yaml", master="local[1]")
        scoring = score(folder, folder / "two" / "model")
    differing = [key for key in metrics if metrics[key] != one_core[key]]
    print(f"{args.family}, {args.rows:,} training rows\n\n| what | seconds |\n|---|---|")
    print(f"| train_model | {ours:.1f} |\n| the same fits in plain PySpark | {bare:.1f} |")
    print(f"| scoring {SCORED_ROWS:,} rows with the registered model, already loaded | {scoring:.2f} |")
    print(f"\n{ours / bare:.2f} times the time of plain PySpark; holdout ROC AUC {metrics['roc_auc']}")
    print(f"metrics that differ on one core: {', '.join(differing) or 'none'}")


if __name__ == "__main__":
    main()
