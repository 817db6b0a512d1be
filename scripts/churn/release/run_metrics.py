"""The metrics of a candidate's run: those of training once, those of drift as a series, one step for each drop.

MLflow shows of each metric the value with the highest step, then the latest time, then the largest value. So a value
that replaces another at its step needs a later time, or the larger of the two would be shown.
"""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from churn.base.drops import parse_drop
from churn.base.reading import read_json
from churn.release.candidate import METRICS
from churn.release.flatten import flatten

if TYPE_CHECKING:
    from mlflow import MlflowClient

DRIFT_FIGURES = ("drift_share", "drift_detected", "prediction_distance", "churn_rate_difference")
FIRST_DAY = date(1970, 1, 1)


def log_training(client: "MlflowClient", run_id: str) -> None:
    """Log the metrics of training, and the rows and churn rate of each as-of date."""
    measured = flatten(read_json(METRICS / "train_model.json"))
    training_set = read_json(METRICS / "build_training_set.json")
    _log_values(client, run_id, measured | flatten({"as_of": training_set["as_of_dates"]}), 0, 0)


def log_drift(client: "MlflowClient", run_id: str) -> None:
    """Log the drift of the newest drop as `recent_*`; the step is the number of days from 1970-01-01 to the drop."""
    drift = read_json(METRICS / "detect_drift.json")
    recent = {name: drift[name] for name in DRIFT_FIGURES if name in drift} | {"alarms": len(drift["alarms"])}
    day = parse_drop(drift["current_drop"])
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    values = {f"recent_{name}": value for name, value in recent.items()}
    _log_values(client, run_id, values, (day - FIRST_DAY).days, int(midnight.timestamp() * 1000))


def _log_values(client: "MlflowClient", run_id: str, values: dict[str, Any], step: int, time: int) -> None:
    """Log the numbers among some values, except those that are the newest at their step already."""
    from mlflow.entities import Metric

    known, points = client.get_run(run_id).data.metrics, []
    for name, value in values.items():
        if not isinstance(value, int | float):
            continue
        history = client.get_metric_history(run_id, name) if name in known else []
        newest = max(((one.timestamp, one.value) for one in history if one.step == step), default=None)
        if newest is None:
            points.append(Metric(name, float(value), time, step))
        elif newest[1] != value:
            points.append(Metric(name, float(value), newest[0] + 1, step))
    if points:
        client.log_batch(run_id, metrics=points)
