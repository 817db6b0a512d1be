"""Read an embedded store: the pipeline's runs, the model's versions and the ledger, without deleted ones."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from churn.base.addresses import hide_logins
from churn.base.command import UserError
from churn.release.causes import explain_cause
from churn.release.names import experiment_name, ledger_name, model_name
from churn.release.registry import SQLITE, find_runs, find_versions, sqlite_file
from churn.release.relocation import relocate_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Metric, Run
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

PARENT_TAG = "mlflow.parentRunId"


@dataclass(frozen=True)
class Store:
    """The content of a store.

    Attributes
    ----------
    uri : str
    client : MlflowClient
    experiment : Experiment or None
    runs : list of Run
        Each after its parent.
    model : RegisteredModel or None
        With the aliases.
    versions, entries : list of ModelVersion
        Those of the model and those of the ledger, by number.
    """

    uri: str
    client: "MlflowClient"
    experiment: "Experiment | None"
    runs: "list[Run]"
    model: "RegisteredModel | None"
    versions: "list[ModelVersion]"
    entries: "list[ModelVersion]"

    def read_metrics(self, run: "Run") -> "list[Metric]":
        """Return all values of a run's metrics, with step and time."""
        from mlflow.entities import Metric

        with name_store(self.uri):
            points = [one for name in run.data.metrics for one in self.client.get_metric_history(run.info.run_id, name)]
        return [Metric(point.key, point.value, point.timestamp, point.step) for point in points]

    def fetch_artifacts(self, run: "Run", folder: str) -> str | None:
        """Return the local folder with a run's artifacts, None when it has none."""
        with name_store(self.uri):
            if not self.client.list_artifacts(run.info.run_id):
                return None
            return self.client.download_artifacts(run.info.run_id, "", folder)

    def fetch_model(self, version: "ModelVersion", folder: str) -> str:
        """Return the local folder with a version's model, from the version's source."""
        import mlflow

        with name_store(self.uri):
            return mlflow.artifacts.download_artifacts(version.source, dst_path=folder, tracking_uri=self.uri)

    def check_model(self, version: "ModelVersion") -> None:
        """Raise `UserError` when a version's model is not at its source."""
        import mlflow

        with name_store(self.uri):
            found = mlflow.artifacts.list_artifacts(version.source, tracking_uri=self.uri)
        if not any(Path(file.path).name == "MLmodel" for file in found):
            raise UserError(
                f"The model of version {version.version} of {model_name()} in {self.uri} is missing at "
                f"{version.source}, so nothing is copied. Restore that folder, or delete the version in MLflow, then "
                "run again."
            )


def read_store(uri: str) -> Store:
    """Read everything except the values of metrics and the artifacts.

    Raises
    ------
    UserError
        When the file does not exist, or MLflow cannot read it.
    """
    relocate_store(_check_file(uri))
    import mlflow

    with name_store(uri):
        client = mlflow.MlflowClient(uri, uri)
        experiment = client.get_experiment_by_name(experiment_name())
        if experiment is not None and experiment.lifecycle_stage != "active":
            experiment = None
        models = client.search_registered_models(f"name = '{model_name()}'")
        return Store(
            uri,
            client,
            experiment,
            _parents_first(find_runs(client, experiment.experiment_id)) if experiment else [],
            models[0] if models else None,
            find_versions(client, model_name()),
            find_versions(client, ledger_name()),
        )


def _check_file(uri: str) -> Path:
    """Return the store's file; raise `UserError` if it is not a store: MLflow would create an empty one there."""
    path = sqlite_file(uri)
    if path is None:
        raise UserError(f"--source must name an embedded store, like {SQLITE}mlflow.db; it is {uri!r}.")
    if not path.exists():
        raise UserError(f"The store {path} does not exist, so nothing can be copied. Name another one with --source.")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT 1 FROM experiments")
    except sqlite3.Error as error:
        raise UserError(f"{path} is not an MLflow store ({error}). Name another one with --source.") from None
    return path


@contextmanager
def name_store(uri: str) -> Iterator[None]:
    """Turn an MLflow error into a `UserError` that names the store."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise UserError(
            f"The store {hide_logins(uri)} cannot be read: {explain_cause(error)} Fix that, then run again: "
            "nothing is copied twice."
        ) from error


def _parents_first(runs: "list[Run]") -> "list[Run]":
    known = {run.info.run_id: run for run in runs}

    def depth(run: "Run") -> int:
        parent = known.get(run.data.tags.get(PARENT_TAG, ""))
        return 1 + depth(parent) if parent else 0

    return sorted(runs, key=depth)
