"""The baselines that a model must beat: recency alone, and a logistic regression on three features."""

from typing import Any

import numpy as np
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame

from churn.evaluation.delong import gain_interval
from churn.evaluation.metrics import roc_auc
from churn.training.families import FAMILIES
from churn.training.grid_search import fit_pipeline
from churn.training.spark_pipeline import score_rows

RECENCY = "days_since_last_payment"
RFM = (RECENCY, "active_days", "payments_sum")


def score_rfm_logistic(frame: DataFrame, holdout: DataFrame) -> np.ndarray:
    """Fit recency, frequency and amount on the rows of `frame`, and return the probabilities of the holdout rows."""
    family = FAMILIES["logistic_regression"]
    *preparation, classifier = fit_pipeline(frame, RFM, RFM, family, {"regParam": 0.0}).stages
    _, (probability,) = score_rows([classifier], PipelineModel(preparation).transform(holdout))
    return probability


def compare_with_baselines(
    label: np.ndarray, probability: np.ndarray, baselines: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Measure by how much a model beats the baselines on the same users, with confidence intervals.

    Parameters
    ----------
    label, probability : numpy.ndarray
        For the holdout's rows: 1 for churned, and the model's probability; shape (rows,).
    baselines : dict of numpy.ndarray
        Each baseline's scores of the same rows.

    Returns
    -------
    dict
        `baselines`: the ROC AUC of each; `gain_over_baselines`: the model's gain over each, with its 95% interval.
    """
    gains = {name: gain_interval(label, probability, score) for name, score in baselines.items()}
    return {
        "baselines": {name: roc_auc(label, score) for name, score in baselines.items()},
        "gain_over_baselines": {
            name: {"gain": gain, "low": low, "high": high} for name, (gain, low, high) in gains.items()
        },
    }
