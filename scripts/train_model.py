"""Train the candidate: a Spark ML pipeline; cross-validation on the training rows chooses the grid point.

Reads
    train.parquet, holdout.parquet: user_id, label (1 churned), card_type and the features (double, null if unknown)
Writes
    the model's folder: spark/ (a PipelineModel on the raw feature columns), scorer.onnx (the same model without Spark)
    the metrics: roc_auc and others on the holdout, which is scored once; the baselines; the features left out
    the plots' folder: roc, precision_recall, calibration, gains, score_distribution, segments (all on the holdout) and
    grid, as .json and .png
"""

import argparse
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from churn.base.command import run_command
from churn.base.files import scratch_folder, write_json, write_whole
from churn.base.params import read_params
from churn.engines.spark.session import LARGE_DATA, hadoop_path, start_spark
from churn.evaluation.gains import describe_gains
from churn.evaluation.metrics import best_f1_threshold, measure
from churn.evaluation.segments import measure_segments
from churn.features.table import feature_names
from churn.scoring.scorer import load_scorer
from churn.training.baselines import RECENCY, compare_with_baselines, score_rfm_logistic
from churn.training.families import Family, choose_family
from churn.training.grid_search import GridSearch, fit_pipeline, search_grid
from churn.training.onnx_export import export_scorer
from churn.training.plots import save_plots
from churn.training.rows import assign_folds, choose_features, read_rows
from churn.training.spark_pipeline import save_spark_model

ROWS_PER_PARTITION = 100_000


def train_model(
    train: Path,
    holdout: Path,
    model: Path,
    metrics: Path,
    plots: Path,
    params: dict[str, Any],
    master: str = "local[2]",
    driver_memory: str = "2g",
) -> None:
    """Write the candidate, its metrics and its plots.

    Parameters
    ----------
    train, holdout : Path
        Tables of labelled rows.
    model, plots : Path
        The folders to write.
    metrics : Path
        The JSON file to write.
    params : dict
        Section train_model of params.yaml.
    master : str
        Where Spark runs; the output's bytes do not depend on the number of threads.
    driver_memory : str
        Memory of the Spark driver's JVM in Spark's notation, such as `2g`.

    Raises
    ------
    UserError
        When the params name an unknown feature, family or classifier parameter; when a column is missing, a class has
        fewer than two rows, users are too few for the folds, no feature is usable, or there is no Java.
    """
    family, grid = choose_family(params)
    rows = read_rows(train)
    holdout_rows = read_rows(holdout, feature_names(rows.column_names))
    fold = assign_folds(rows, params["folds"])
    features, left_out = choose_features(rows, fold, params)
    settings = {"spark.driver.memory": driver_memory} | (LARGE_DATA if len(rows) > ROWS_PER_PARTITION else {})
    # Next to the model, in the repository: the executors of a cluster see that folder, but maybe not a temporary one.
    with start_spark(master, settings) as spark, scratch_folder(model) as folder:
        frame = load_frame(spark, rows.append_column("fold", pa.array(fold)), folder / "train.parquet")
        if frame.rdd.getNumPartitions() > 1:
            # Shuffle once, because the frame is read many times.
            frame = frame.localCheckpoint()
        search = search_grid(frame, features, family, grid, params)
        candidate = fit_pipeline(frame, features, params["log_features"], family, search.point)
        save_candidate(candidate, features, params["log_features"], family, model)
        rfm_logistic = score_rfm_logistic(frame, load_frame(spark, holdout_rows, folder / "holdout.parquet"))
    # With the scorer, not with Spark, because Production uses the scorer.
    label, probability = holdout_rows["label"].to_numpy(), load_scorer(model / "scorer.onnx").score(holdout_rows)
    threshold = choose_threshold(search, params)
    with write_whole(plots) as path:
        segments = measure_segments(holdout_rows, probability, threshold)
        save_plots(label, {"model": probability, "rfm_logistic": rfm_logistic}, search, segments, path)
    content = (
        measure(label, probability, threshold)
        | compare_with_baselines(
            label, probability, {"recency": holdout_rows[RECENCY].to_numpy(), "rfm_logistic": rfm_logistic}
        )
        | describe_training(rows, search, params)
        | {
            "threshold": threshold,
            "holdout_rows": len(holdout_rows),
            "holdout_churn_rate": float(label.mean()),
            "features": features,
            "features_left_out": left_out,
        }
    )
    write_json(content, metrics)
    print_summary(content)


def load_frame(spark: SparkSession, rows: pa.Table, path: Path) -> DataFrame:
    """Pass a table to Spark through the file `path`; a small table stays in one partition, so sums have one order."""
    pq.write_table(rows, path)
    frame = spark.read.schema(from_arrow_schema(rows.schema)).parquet(hadoop_path(path))
    partitions = len(rows) // ROWS_PER_PARTITION
    return frame.repartition(partitions) if partitions > 1 else frame.coalesce(1)


def choose_threshold(search: GridSearch, params: dict[str, Any]) -> float:
    """Return the probability at which users are flagged, chosen only on the training rows."""
    if params["threshold"] == "best_f1":
        return round(best_f1_threshold(search.label, search.probability), 6)
    return float(params["threshold"])


def save_candidate(
    candidate: PipelineModel, features: list[str], log_features: list[str], family: Family, model: Path
) -> None:
    """Save the Spark model and the scorer."""
    with write_whole(model) as folder:
        folder.mkdir()
        save_spark_model(candidate, folder / "spark")
        export_scorer(folder / "spark", features, log_features, family.write, folder / "scorer.onnx")


def describe_training(rows: pa.Table, search: GridSearch, params: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics of the training rows and the chosen grid point."""
    return {
        "train_rows": len(rows),
        "train_churn_rate": float(rows["label"].to_numpy().mean()),
        "family": params["family"],
        "best_params": search.point,
        "cv_metric": params["metric"],
        "cv_score": search.best["cv_score"],
    }


def print_summary(content: dict[str, Any]) -> None:
    """Print what was trained and how good it is."""
    if content["features_left_out"]:
        print(f"left out, unknown or constant in the training rows: {', '.join(content['features_left_out'])}")
    print(f"{content['family']} with {content['best_params']}")
    print("holdout ROC AUC {roc_auc:.4f} (95% interval {roc_auc_low:.4f} to {roc_auc_high:.4f})".format(**content))
    print("mean prediction {mean_prediction:.3f}, churn rate {holdout_churn_rate:.3f}".format(**content))
    print(describe_gains(content["gain_over_baselines"]))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, required=True, help="table of training rows")
    parser.add_argument("--holdout", type=Path, required=True, help="table of holdout rows")
    parser.add_argument("--model", type=Path, required=True, help="folder of the candidate to write")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--plots", type=Path, required=True, help="folder of plots to write")
    parser.add_argument("--master", default="local[2]", help="where Spark runs; default: local[2], two threads here")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params = read_params(args.params)
    train_model(
        args.train,
        args.holdout,
        args.model,
        args.metrics,
        args.plots,
        params["train_model"],
        args.master,
        params["spark"]["driver_memory"],
    )


if __name__ == "__main__":
    run_command(main)
