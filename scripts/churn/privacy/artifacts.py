"""The artifacts of MLflow's runs that hold a user: those of a server, and what the embedded store's runs say of it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from churn.privacy.search import Search
from churn.release.model_files import EXAMPLES
from churn.release.names import experiment_name
from churn.release.registry import read_pages, sqlite_file, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

TABLES = (".parquet", ".csv")
ERASED_TAG = "users_erased"


@dataclass(frozen=True)
class Artifact:
    """A table among a run's artifacts on a server that holds the user."""

    run_id: str
    path: str


def search_artifacts(search: Search, client: "MlflowClient") -> list[Artifact]:
    """Return the tables of a server's runs, deleted ones too, that hold the user; an embedded store's are files."""
    if sqlite_file(tracking_uri()):
        return []
    return [
        Artifact(run.info.run_id, path)
        for run in _runs(client)
        for path in _tables(client, run.info.run_id)
        if search.finds(_fetch(client, run.info.run_id, path, search.scratch))
    ]


def erase_artifacts(search: Search, client: "MlflowClient", found: list[Artifact]) -> None:
    """Write the tables again without the user, and remove the examples of rows from the models of their runs."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    for one in found:
        # Before the table: after a kill, it still says that the run holds the user.
        store = get_artifact_repository(client.get_run(one.run_id).info.artifact_uri)
        held = {file.path for file in client.list_artifacts(one.run_id, "model")}
        for path in held & {f"model/{name}" for name in EXAMPLES}:
            store.delete_artifacts(path)  # type: ignore[no-untyped-call]
        local = _fetch(client, one.run_id, one.path, search.scratch)
        search.remove(local)
        client.log_artifact(one.run_id, str(local), str(Path(one.path).parent))
        mark_run(client, one.run_id)


def remove_examples(table: Path) -> str:
    """Remove the examples of rows beside a table of the embedded store; return the id of the run, "" if it has none."""
    run = next((one for one in table.parents if one.name == "artifacts"), None)
    if run is None:
        return ""
    for name in EXAMPLES:
        (run / "model" / name).unlink(missing_ok=True)
    return run.parent.name


def mark_run(client: "MlflowClient", run_id: str) -> None:
    """Note on a run that its tables are no longer what its model was trained on."""
    from mlflow.exceptions import MlflowException

    # A deleted run cannot be changed.
    with suppress(MlflowException):
        client.set_tag(run_id, ERASED_TAG, datetime.now(UTC).date().isoformat())


def artifact_prefix(client: "MlflowClient") -> str:
    """Return how the keys of this pipeline's artifacts begin in the server's bucket; "" before its first run."""
    experiment = client.get_experiment_by_name(experiment_name())
    return f"{experiment.experiment_id}/" if experiment is not None else ""


def _runs(client: "MlflowClient") -> "Iterator[Run]":
    from mlflow.entities import ViewType

    experiment = client.get_experiment_by_name(experiment_name())
    if experiment is not None:
        for run in read_pages(client.search_runs, [experiment.experiment_id], run_view_type=ViewType.ALL):
            # A point of the grid has no artifacts.
            if "mlflow.parentRunId" not in run.data.tags:
                yield run


def _tables(client: "MlflowClient", run_id: str, folder: str = "") -> Iterator[str]:
    for file in client.list_artifacts(run_id, folder):
        if file.path.endswith(TABLES) and not file.is_dir:
            yield file.path
        elif file.is_dir:
            yield from _tables(client, run_id, file.path)


def _fetch(client: "MlflowClient", run_id: str, path: str, scratch: Path) -> Path:
    return Path(client.download_artifacts(run_id, path, str(scratch)))
