"""What a model means: the question it answers, on which features, from which data. Only equal meanings are compared.

The features' digests come from the stages, which compile the expressions (churn.features.meanings).
"""

import ast
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.base.drops import parse_drop
from churn.base.reading import read_json
from churn.release.provenance import LOCK, raw_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import RunData
    from mlflow.entities.model_registry import ModelVersion

MEANING_TAG = "meaning"
DEMO, OWN = "demo", "own"


@dataclass(frozen=True)
class Meaning:
    """What a model means.

    Attributes
    ----------
    source : str
        Where its drops come from, demo or own; "" if unknown.
    horizon_days, lookback_days : int
    label : str
        The digest of the label's expression; "" if unknown.
    features : dict of str
        The digest of the expression of each feature that it uses; "" if unknown.
    training_dates : list of str
        The as-of dates of its training rows, oldest first.
    """

    source: str
    horizon_days: int
    lookback_days: int
    label: str
    features: dict[str, str]
    training_dates: list[str]

    def to_json(self) -> str:
        """Return it as a version's tag."""
        return json.dumps(asdict(self), sort_keys=True)

    def differences(self, today: "Meaning") -> list[str]:
        """Return in which ways today's rows ask another question, or have other features; empty if in none."""
        found = [f"{self.source} drops, now {today.source} drops"] if self.source not in ("", today.source) else []
        if self.horizon_days != today.horizon_days:
            found.append(f"a horizon of {self.horizon_days} days, now {today.horizon_days}")
        if self.label and today.label and self.label != today.label:
            found.append("another definition of churn")
        return found + self.feature_differences(today.lookback_days, today.features)

    def feature_differences(self, lookback_days: int, digests: dict[str, str]) -> list[str]:
        """Return in which ways features differ from those of this model; empty if in none.

        Parameters
        ----------
        lookback_days : int
            The lookback of the features.
        digests : dict of str
            The digest of each feature that they have.
        """
        found = []
        if self.lookback_days != lookback_days:
            found.append(f"a lookback of {self.lookback_days} days, now {lookback_days}")
        if gone := [name for name in self.features if name not in digests]:
            found.append(f"features that no longer exist ({', '.join(gone)})")
        if edited := self.edited_features(digests):
            found.append(f"another definition of {', '.join(edited)}")
        return found

    def edited_features(self, digests: dict[str, str]) -> list[str]:
        """Return its features that have another digest now; one that either side lacks counts as equal."""
        return [name for name, digest in self.features.items() if digest and digests.get(name, digest) != digest]

    def trained_on(self, holdout_date: date) -> str | None:
        """Return the newest training date whose label needs days after the holdout's as-of date; None without one."""
        horizon = timedelta(days=self.horizon_days)
        late = [day for day in self.training_dates if parse_drop(day) + horizon > holdout_date]
        return late[-1] if late else None


def meaning_of(rows: dict[str, Any], features: Iterable[str]) -> Meaning:
    """Return what rows mean with some of their features; what an older build_training_set did not write is unknown.

    Parameters
    ----------
    rows : dict
        The metrics of build_training_set.
    features : iterable of str
    """
    digests = rows.get("feature_digests", {})
    return Meaning(
        source=rows.get("source", ""),
        horizon_days=rows["horizon_days"],
        lookback_days=rows["lookback_days"],
        label=rows.get("label_digest", ""),
        features={name: digests.get(name, "") for name in features},
        training_dates=rows.get("training_dates", []),
    )


def rows_meaning(training_set: Path) -> Meaning:
    """Return what today's rows mean, with all their features, from the metrics of build_training_set."""
    rows = read_json(training_set)
    return meaning_of(rows, rows["feature_digests"])


def candidate_meaning(training_set: Path, trained: Path) -> Meaning:
    """Return what the candidate means, from the metrics of build_training_set and of train_model."""
    rows, model = (read_json(path) for path in (training_set, trained))
    return meaning_of(rows, sorted(model["features"]))


def version_meaning(client: "MlflowClient", version: "ModelVersion") -> Meaning | None:
    """Return what a registered version means; what a version of before 2026-11-27 did not store is unknown.

    None if nothing is known: for a version that somebody made by hand, or whose run is gone.
    """
    if text := version.tags.get(MEANING_TAG):
        # A later version of this project may store more.
        known = {one.name for one in fields(Meaning)}
        return Meaning(**{name: value for name, value in json.loads(text).items() if name in known})
    run = _find_run(client, version)
    if run is None or "build_training_set.horizon_days" not in run.params:
        return None
    dates = sorted(name.split(".")[1] for name in run.metrics if name.startswith("as_of.") and name.endswith(".rows"))
    return Meaning(
        source="",
        horizon_days=int(run.params["build_training_set.horizon_days"]),
        lookback_days=int(run.params["build_features.lookback_days"]),
        label="",
        features={},
        # The newest is the holdout's.
        training_dates=dates[:-1],
    )


def shares_no_drop(client: "MlflowClient", version: "ModelVersion") -> bool:
    """Return whether no drop that a version was trained on is among today's with the same content: a demo's, perhaps.

    False if either is not known.
    """
    run = _find_run(client, version)
    then = {tag for tag in run.tags.items() if tag[0].startswith("raw/")} if run else set()
    return bool(then) and LOCK.exists() and then.isdisjoint(raw_tags(LOCK).items())


def read_run(client: "MlflowClient", version: "ModelVersion") -> tuple[dict[str, Any], dict[str, float]]:
    """Return the parameters that a version was trained with, nested names with dots, and its metrics."""
    data = _find_run(client, version)
    return ({name: _parse(text) for name, text in data.params.items()}, data.metrics) if data else ({}, {})


def _find_run(client: "MlflowClient", version: "ModelVersion") -> "RunData | None":
    from mlflow.exceptions import MlflowException

    if not version.run_id:
        return None
    try:
        return client.get_run(version.run_id).data
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _parse(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
