"""Choose a grid point by cross-validation: every point is fitted once per fold, on the rows of the other folds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing.pool import ThreadPool
from statistics import mean
from typing import Any

import numpy as np
from pyspark.errors import IllegalArgumentException
from pyspark.ml import Estimator, Model, PipelineModel
from pyspark.sql import DataFrame
from tqdm import tqdm

from churn.base.command import UserError
from churn.evaluation.metrics import average_precision, log_loss, roc_auc
from churn.training.families import Family
from churn.training.spark_pipeline import make_preparation, prepare_rows, score_rows

FITS_AT_A_TIME = 2
# The function of each metric, and whether higher is better.
METRICS = {"roc_auc": (roc_auc, True), "pr_auc": (average_precision, True), "log_loss": (log_loss, False)}


@dataclass(frozen=True)
class GridSearch:
    """The result of a search.

    Attributes
    ----------
    metric : str
        The metric that points were compared by.
    results : list of dict
        For each grid point its parameters, `fold_<n>` (the metric in that fold) and `cv_score`, their mean.
    best : dict
        The result of the chosen point.
    point : dict
        The parameters of that point.
    label, probability : numpy.ndarray
        For each training row, its label and the probability by the chosen point's model that was fitted without the
        row's fold; shape (rows,).
    """

    metric: str
    results: list[dict[str, Any]]
    best: dict[str, Any]
    point: dict[str, Any]
    label: np.ndarray
    probability: np.ndarray


def search_grid(
    frame: DataFrame,
    features: Sequence[str],
    family: Family,
    grid: dict[str, list[Any]],
    params: dict[str, Any],
) -> GridSearch:
    """Cross-validate every point of the grid.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        The training rows, with `fold`.
    features : sequence of str
        The features to use.
    family : Family
        The family to fit.
    grid : dict of list
        Values for each parameter; every combination is a grid point.
    params : dict
        Section train_model of params.yaml.
    """
    names, folds = sorted(grid), range(params["folds"])
    points = [dict(zip(names, values, strict=True)) for values in product(*(grid[name] for name in names))]
    with ThreadPool(FITS_AT_A_TIME) as pool:
        split = pool.map(partial(split_fold, frame, features, params["log_features"]), folds)
        todo = [(training, point) for training, _ in split for point in points]
        fits = pool.imap(lambda fit: fit_classifier(fit[0], family, fit[1]), todo)
        models = list(tqdm(fits, total=len(todo), desc="grid search", unit="fit", disable=None))
        scored = pool.map(lambda fold: score_rows(models[fold * len(points) :][: len(points)], split[fold][1]), folds)
    compute, _ = METRICS[params["metric"]]
    results = []
    for number, point in enumerate(points):
        values = [compute(label, probabilities[number]) for label, probabilities in scored]
        by_fold = {f"fold_{fold + 1}": value for fold, value in enumerate(values)}
        results.append(point | by_fold | {"cv_score": mean(values)})
    number = choose_point(results, params["metric"], params["tolerance"])
    label = np.concatenate([label for label, _ in scored])
    probability = np.concatenate([probabilities[number] for _, probabilities in scored])
    return GridSearch(params["metric"], results, results[number], points[number], label, probability)


def choose_point(results: list[dict[str, Any]], metric: str, tolerance: float) -> int:
    """Return the number of the first grid point whose mean metric is within the tolerance of the best.

    Scores within the tolerance are a tie; the first point, the simplest, wins, because simpler models cope better when
    users change.
    """
    # Rounded, so that differences in the last digit between machines decide nothing.
    sign = 1 if METRICS[metric][1] else -1
    scores = [round(sign * result["cv_score"], 6) for result in results]
    return next(number for number, score in enumerate(scores) if score >= round(max(scores) - tolerance, 6))


def split_fold(
    frame: DataFrame, features: Sequence[str], log_features: Sequence[str], fold: int
) -> tuple[DataFrame, DataFrame]:
    """Return the rows outside a fold and in it; medians and scaling come only from the rows outside."""
    training, held_out = frame.filter(frame.fold != fold), frame.filter(frame.fold == fold)
    preparation = make_preparation(features, log_features).fit(training)
    return prepare_rows(preparation, training), preparation.transform(held_out)


def fit_pipeline(
    frame: DataFrame, features: Sequence[str], log_features: Sequence[str], family: Family, point: dict[str, Any]
) -> PipelineModel:
    """Fit preparation and classifier on all rows."""
    preparation = make_preparation(features, log_features).fit(frame)
    return PipelineModel([*preparation.stages, fit_classifier(prepare_rows(preparation, frame), family, point)])


def fit_classifier(rows: DataFrame, family: Family, point: dict[str, Any]) -> Model:
    """Fit the classifier of one grid point on prepared rows.

    Raises
    ------
    UserError
        When Spark rejects a value of the grid.
    """
    try:
        make: Callable[..., Estimator[Any]] = family.estimator
        model: Model = make(featuresCol="scaled", **family.settings, **point).fit(rows)
        return model
    except (IllegalArgumentException, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"train_model.grids in params.yaml: Spark's {family.estimator.__name__} rejects {point}: {reason}"
        ) from None
