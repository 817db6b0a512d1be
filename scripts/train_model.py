"""Train the candidate: a Spark ML pipeline, its grid point chosen by cross-validation inside the training rows.

Reads
    train.parquet, holdout.parquet: user_id, label (1 churned) and the features (double, null where unknown)
Writes
    the model's folder: spark/ (a PipelineModel on the raw feature columns), scorer.onnx (the same without Spark)
    the metrics: roc_auc and the rest, all of the holdout, which is scored once; the baselines; what was left out
    the plots' folder: roc, precision_recall, calibration (all of the holdout) and grid, as .json and .png
"""

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from itertools import product
from multiprocessing.pool import ThreadPool
from pathlib import Path
from statistics import mean

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from tqdm import tqdm

from churn.command import run_command
from churn.evaluation import measure, roc_auc
from churn.files import write_json, write_whole
from churn.model_plots import save_plots
from churn.onnx_export import export_scorer
from churn.params import read_section
from churn.scorer import load_scorer
from churn.spark import start_spark
from churn.spark_model import make_estimator, make_preparation, prepare_rows, save_spark_model, score_rows
from churn.training_rows import assign_folds, choose_features, read_rows

RECENCY = "days_since_last_payment"
RFM = (RECENCY, "active_days", "payments_sum")
ROWS_PER_PARTITION = 100_000
FITS_AT_A_TIME = 2


def train_model(
    train: Path, holdout: Path, model: Path, metrics: Path, plots: Path, params: dict, master: str = "local[2]"
) -> None:
    """Write the candidate, its metrics and its plots.

    Parameters
    ----------
    train, holdout : Path
        Parquet files of labelled rows.
    model, plots : Path
        The folders to write.
    metrics : Path
        The JSON file to write.
    params : dict
        Section train_model of params.yaml.
    master : str
        Where Spark runs; the written bytes do not depend on the number of threads.

    Raises
    ------
    UserError
        When the params name what is no feature, a table has one class only, users are too few for the folds, no feature
        tells anything, or there is no Java.
    """
    rows = read_rows(train)
    holdout_rows = read_rows(holdout, rows.column_names[2:])
    fold = assign_folds(rows, params["folds"])
    features, left_out = choose_features(rows, fold, params)
    with start_spark(master) as spark, tempfile.TemporaryDirectory(prefix="churn-train-") as folder:
        frame = load_frame(spark, rows.append_column("fold", pa.array(fold)), Path(folder, "train.parquet"))
        grid = search_grid(frame, features, params)
        best = choose_point(grid)
        candidate = fit_pipeline(frame, features, params["log_features"], grid_point(best, params))
        save_candidate(candidate, features, params["log_features"], spark, model)
        baseline = score_baseline(frame, load_frame(spark, holdout_rows, Path(folder, "holdout.parquet")))
    # By the scorer, not by Spark: it is what Production will score with.
    scored = holdout_rows["label"].to_numpy(), load_scorer(model / "scorer.onnx").score(holdout_rows)
    with write_whole(plots) as path:
        save_plots(scored, baseline, grid, best, path)
    recency = roc_auc(scored[0], holdout_rows[RECENCY].to_numpy())
    content = measure(*scored) | {
        "train_rows": len(rows),
        "train_churn_rate": float(rows["label"].to_numpy().mean()),
        "holdout_rows": len(holdout_rows),
        "holdout_churn_rate": float(scored[0].mean()),
        "features": features,
        "features_left_out": left_out,
        "best_params": grid_point(best, params),
        "cv_roc_auc": best["cv_roc_auc"],
        "baselines": {"recency": recency, "rfm_logistic": roc_auc(*baseline)},
    }
    write_json(content, metrics)
    print_summary(content)


def load_frame(spark: SparkSession, rows: pa.Table, path: Path) -> DataFrame:
    """Hand a table to Spark through the file `path`; few rows stay in one partition, where sums have one order."""
    pq.write_table(rows, path)
    frame = spark.read.schema(from_arrow_schema(rows.schema)).parquet(path.as_uri())
    partitions = len(rows) // ROWS_PER_PARTITION
    return frame.repartition(partitions) if partitions > 1 else frame.coalesce(1)


def search_grid(frame: DataFrame, features: list[str], params: dict) -> list[dict]:
    """Cross-validate every point of the grid.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        The training rows, with `fold`.
    features : list of str
        The features to use.
    params : dict
        Section train_model of params.yaml.

    Returns
    -------
    list of dict
        For each grid point its parameters, `fold_<n>` (ROC AUC in that fold) and `cv_roc_auc`, their mean.
    """
    names, folds = sorted(params["grid"]), range(params["folds"])
    points = [dict(zip(names, values, strict=True)) for values in product(*(params["grid"][name] for name in names))]
    with ThreadPool(FITS_AT_A_TIME) as pool:
        split = pool.map(partial(split_fold, frame, features, params["log_features"]), folds)
        todo = [(training, point) for training, _ in split for point in points]
        fits = pool.imap(lambda fit: make_estimator(fit[1]).fit(fit[0]), todo)
        models = list(tqdm(fits, total=len(todo), desc="grid search", unit="fit", disable=None))
        scores = pool.map(lambda fold: score_rows(models[fold * len(points) :][: len(points)], split[fold][1]), folds)
    results = []
    for number, point in enumerate(points):
        aucs = [roc_auc(label, probabilities[number]) for label, probabilities in scores]
        by_fold = {f"fold_{fold + 1}": auc for fold, auc in enumerate(aucs)}
        results.append(point | by_fold | {"cv_roc_auc": mean(aucs)})
    return results


def split_fold(
    frame: DataFrame, features: list[str], log_features: list[str], fold: int
) -> tuple[DataFrame, DataFrame]:
    """Return the rows outside a fold and those in it, prepared by what the rows outside tell alone."""
    training, held_out = frame.filter(frame.fold != fold), frame.filter(frame.fold == fold)
    preparation = make_preparation(features, log_features).fit(training)
    return prepare_rows(preparation, training), preparation.transform(held_out)


def choose_point(grid: list[dict]) -> dict:
    """Return the grid point with the highest mean ROC AUC; the first of equals."""
    # Rounded, so that a last digit that differs between machines decides nothing.
    return max(grid, key=lambda result: round(result["cv_roc_auc"], 6))


def grid_point(result: dict, params: dict) -> dict:
    """Return the parameters alone of a result of `search_grid`."""
    return {name: result[name] for name in sorted(params["grid"])}


def fit_pipeline(frame: DataFrame, features: Sequence[str], log_features: Sequence[str], point: dict) -> PipelineModel:
    """Fit preparation and classifier on all rows."""
    preparation = make_preparation(features, log_features).fit(frame)
    return PipelineModel([*preparation.stages, make_estimator(point).fit(prepare_rows(preparation, frame))])


def score_baseline(frame: DataFrame, holdout: DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return label and probability of the holdout's rows by recency, frequency and amount alone."""
    *preparation, classifier = fit_pipeline(frame, RFM, RFM, {"regParam": 0.0}).stages
    label, (probability,) = score_rows([classifier], PipelineModel(preparation).transform(holdout))
    return label, probability


def save_candidate(
    candidate: PipelineModel, features: list[str], log_features: list[str], spark: SparkSession, model: Path
) -> None:
    """Write the Spark model and the scorer."""
    with write_whole(model) as folder:
        folder.mkdir()
        save_spark_model(candidate, folder / "spark")
        export_scorer(candidate, features, log_features, spark, folder / "scorer.onnx")


def print_summary(content: dict) -> None:
    """Say what was trained and how good it is."""
    if content["features_left_out"]:
        print(f"left out, unknown or constant in the training rows: {', '.join(content['features_left_out'])}")
    baselines = ", ".join(f"{name} alone {value:.4f}" for name, value in content["baselines"].items())
    print(f"holdout ROC AUC {content['roc_auc']:.4f} ({baselines}) with {content['best_params']}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, required=True, help="Parquet file of training rows")
    parser.add_argument("--holdout", type=Path, required=True, help="Parquet file of holdout rows")
    parser.add_argument("--model", type=Path, required=True, help="folder of the candidate to write")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--plots", type=Path, required=True, help="folder of plots to write")
    parser.add_argument("--master", default="local[2]", help="where Spark runs; default: local[2], two threads here")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params = read_section(args.params, "train_model")
    train_model(args.train, args.holdout, args.model, args.metrics, args.plots, params, args.master)


if __name__ == "__main__":
    run_command(main)
