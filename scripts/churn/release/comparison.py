"""What a comparison of two registered versions is made of: their scores, their measures, the gain that is asked for."""

import os
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churn.base.addresses import hide_logins
from churn.base.command import UserError
from churn.evaluation.metrics import calibration_error, roc_auc
from churn.release.causes import explain_cause
from churn.release.loading import load_version
from churn.release.model_files import ChangedFilesError
from churn.release.names import model_name
from churn.release.registry import PRODUCTION, find_versions, retry_once, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient


def score_version(version: str, rows: pa.Table) -> NDArray[np.float64]:
    """Return each row's probability of churn, by the scorer of a registered version.

    Raises
    ------
    UserError
        When the version cannot be loaded, its files were changed, or it needs a column that no longer exists.
    """
    try:
        scorer, _ = load_version(version)
        return scorer.score(rows)
    except ChangedFilesError:
        raise
    # An old model may fail in any way. That decides nothing between the two models.
    except Exception as error:
        raise UserError(
            f"Version {version} of {model_name()} at {hide_logins(tracking_uri())} cannot score the holdout. "
            "Nothing is promoted. It may need a feature that no longer exists, or its files may be missing: restore "
            f"them, or remove the alias {PRODUCTION!r} from it in MLflow.\nThe cause: {explain_cause(error)}"
        ) from error


def measure_scores(rows: pa.Table, probability: NDArray[np.float64] | None) -> dict[str, float | None]:
    """Return the measures of a model that the decision is based on; null for a model that was not compared."""
    if probability is None:
        return {"roc_auc": None, "ece": None}
    label = rows["label"].to_numpy()
    return {"roc_auc": roc_auc(label, probability), "ece": calibration_error(label, probability)}


def read_min_delta(params: dict[str, Any]) -> float:
    """Return the gain required for a promotion, from CHURN_PROMOTION_MIN_DELTA or else from params.yaml."""
    text = os.environ.get("CHURN_PROMOTION_MIN_DELTA")
    if not text:
        return float(params["min_delta"])
    try:
        delta = float(text)
    except ValueError:
        delta = -1.0
    if not 0 <= delta <= 1:
        raise UserError(f"CHURN_PROMOTION_MIN_DELTA must be a number from 0 to 1, like 0.005, not {text!r}.")
    return delta


def join_holdout(client: "MlflowClient", version: str, as_of: date, horizon_days: int) -> int:
    """Return how many other versions a holdout had judged when it first judged this one; a tag remembers it.

    The holdout is named by its as-of date and its horizon: a few corrected rows do not make it another one.
    """
    tag = f"holdout_{as_of}_{horizon_days}d"
    before = client.get_model_version(model_name(), version).tags.get(tag)
    if before is None:
        before = str(len(find_versions(client, model_name(), f"tags.`{tag}` LIKE '%'")))
        retry_once(client.set_model_version_tag, model_name(), version, tag, before)
    return int(before)
