"""Read the registry: the versions of the model, the one in Production, and the ledger of promotions."""

import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from churn.base.addresses import hide_logins
from churn.base.command import UserError
from churn.release.ledger import MOVES, Entry, created_at, read_entries
from churn.release.names import experiment_name, model_name
from churn.release.registry import (
    DIGEST_TAG,
    PREVIOUS,
    PRODUCTION,
    ROLLED_BACK_TAG,
    SQLITE,
    aliased_version,
    find_runs,
    find_versions,
    open_registry,
    tracking_uri,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Version:
    """A registered version, with the data of its MLflow run.

    Attributes
    ----------
    metrics : dict of str to float
        Of the run; empty when the run was deleted.
    params, run_tags : dict of str to str
        Of the run: params.yaml; the commit, and the hashes of the raw files.
    """

    number: str
    registered: datetime
    run_id: str
    tags: dict[str, str]
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    run_tags: dict[str, str] = field(default_factory=dict)

    @property
    def rolled_back(self) -> str | None:
        """The reason for the version's rollback, or None."""
        return self.tags.get(ROLLED_BACK_TAG)


@dataclass(frozen=True)
class Record:
    """The registry at one moment.

    Attributes
    ----------
    address : str
        The address of the registry, without a password.
    problem : str or None
        Why the registry cannot be read, in one sentence; then the record has no versions.
    fix : str
        How to fix that, in one sentence.
    detail : str
        MLflow's own message.
    production, previous : Version or None
    versions : list of Version
        The newest first.
    entries : list of Entry
        The ledger, oldest first.
    """

    address: str
    problem: str | None = None
    fix: str = ""
    detail: str = ""
    production: Version | None = None
    previous: Version | None = None
    versions: list[Version] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    @property
    def promotion(self) -> Entry | None:
        """The ledger entry of the version in Production; None when the alias was moved by hand."""
        last = next((entry for entry in reversed(self.entries) if entry.valid and entry.action in MOVES), None)
        return last if last and self.production and last.to_version == self.production.number else None


def read_record() -> Record:
    """Read the registry. Errors are not raised: they are in `Record.problem`."""
    uri = tracking_uri()
    address = hide_logins(uri)
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists():
        # MLflow would create the store, but the dashboard must not write anything.
        return Record(address)
    try:
        with open_registry() as client:
            return _read(client, address)
    except UserError as error:
        return Record(address, *_explain(error, address))
    # A damaged database, or one of another release, raises its driver's own errors.
    except Exception as error:
        detail = hide_logins(f"{type(error).__name__}: {error}")
        problem = f"The registry at {address} cannot be read ({detail.splitlines()[0][:200]})."
        return Record(address, problem, _advise(uri), detail)


def _read(client: "MlflowClient", address: str) -> Record:
    found = find_versions(client, model_name())
    runs = _read_runs(client, {version.run_id for version in found if version.run_id})
    versions = [_describe(version, runs.get(version.run_id or "")) for version in found]
    versions.sort(key=lambda version: -int(version.number))
    by_number = {version.number: version for version in versions}
    aliased = {alias: aliased_version(client, alias) for alias in (PRODUCTION, PREVIOUS)} if found else {}
    production, previous = (
        by_number.get(str(version.version)) if (version := aliased.get(alias)) else None
        for alias in (PRODUCTION, PREVIOUS)
    )
    return Record(address, production=production, previous=previous, versions=versions, entries=read_entries(client))


def _read_runs(client: "MlflowClient", wanted: set[str]) -> "dict[str, Run]":
    """Return the runs of the versions by id, without deleted runs."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(experiment_name())
    # One request for all of them; runs of single grid points do not have this tag.
    found = find_runs(client, experiment.experiment_id, f"tags.{DIGEST_TAG} LIKE '%'") if experiment else []
    runs = {run.info.run_id: run for run in found}
    for run_id in wanted - set(runs):
        try:
            runs[run_id] = client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    return runs


def _describe(version: "ModelVersion", run: "Run | None") -> Version:
    described = Version(str(version.version), created_at(version), version.run_id or "", dict(version.tags))
    if run is None:
        return described
    data = run.data
    return replace(described, metrics=dict(data.metrics), params=dict(data.params), run_tags=dict(data.tags))


def _explain(error: UserError, address: str) -> tuple[str, str, str]:
    """Return the problem, how to fix it, and MLflow's message."""
    detail = str(error).replace(tracking_uri(), address)
    if getattr(error.__cause__, "error_code", "") in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        user = os.environ.get("MLFLOW_TRACKING_USERNAME") or "an unnamed user"
        advice = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in .env or in the environment"
        problem = f"MLflow at {address} rejects the login of {user}."
        return problem, f"{advice}, then restart the dashboard.", detail
    silent = "Max retries exceeded" in detail or "timed out" in detail
    problem = f"MLflow at {address} {'is down: it does not answer' if silent else 'cannot be read'}."
    return problem, _advise(tracking_uri()), detail


def _advise(uri: str) -> str:
    if uri.startswith("http"):
        return (
            "Start that server (on this machine: make up) and reload this page. If its address is wrong, set "
            "MLFLOW_TRACKING_URI in .env or in the environment, and restart the dashboard."
        )
    return "Restore that store, or set MLFLOW_TRACKING_URI to another one, and restart the dashboard."
