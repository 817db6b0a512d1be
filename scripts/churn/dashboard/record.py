"""What the registry says about the model: its versions, what is in Production, and how it came there."""

import os
import urllib.parse
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from churn.base.command import UserError
from churn.release.ledger import Entry, created_at, read_entries
from churn.release.registry import (
    DIGEST_TAG,
    EXPERIMENT,
    MODEL,
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
    """A registered version, with what its MLflow run measured.

    Attributes
    ----------
    metrics : dict of str to float
        Of the run; empty when the run is gone.
    params, run_tags : dict of str to str
        Of the run: params.yaml; the commit and the hashes of the raw files.
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
        """Why the version was taken out of Production, None when it was not."""
        return self.tags.get(ROLLED_BACK_TAG)


@dataclass(frozen=True)
class Record:
    """The registry at one moment.

    Attributes
    ----------
    address : str
        Where it is, without a password.
    problem : str or None
        What keeps it from being read, in one sentence; then there is nothing else in it.
    mend : str
        How to mend that, in one sentence.
    detail : str
        What MLflow said to that.
    production, previous : Version or None
    versions : list of Version
        The newest first.
    entries : list of Entry
        The ledger, oldest first.
    """

    address: str
    problem: str | None = None
    mend: str = ""
    detail: str = ""
    production: Version | None = None
    previous: Version | None = None
    versions: list[Version] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    @property
    def promotion(self) -> Entry | None:
        """The ledger's entry that put Production there; None when somebody moved the alias by hand."""
        last = next((entry for entry in reversed(self.entries) if entry.valid), None)
        return last if last and self.production and last.to_version == self.production.number else None


def read_record() -> Record:
    """Read the registry; what keeps it from being read is in the record, never raised."""
    uri = tracking_uri()
    address = hide_password(uri)
    if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists():
        # MLflow would make the store: a dashboard only looks.
        return Record(address)
    try:
        with open_registry() as client:
            return _read(client, address)
    except UserError as error:
        return Record(address, *_explain(error, address))
    # A database that is damaged or of another release raises errors of its own driver.
    except Exception as error:
        detail = f"{type(error).__name__}: {error}".replace(uri, address)
        problem = f"The registry at {address} cannot be read ({detail.splitlines()[0][:200]})."
        return Record(address, problem, _mend(uri), detail)


def hide_password(uri: str) -> str:
    """Return an address as a page may show it, without name and password."""
    parts = urllib.parse.urlsplit(uri)
    return uri.replace(f"{parts.netloc.rpartition('@')[0]}@", "", 1) if "@" in parts.netloc else uri


def _read(client: "MlflowClient", address: str) -> Record:
    found = find_versions(client, MODEL)
    runs = _read_runs(client, {version.run_id for version in found if version.run_id})
    versions = [_describe(version, runs.get(version.run_id)) for version in found]
    versions.sort(key=lambda version: -int(version.number))
    by_number = {version.number: version for version in versions}
    aliased = {alias: aliased_version(client, alias) for alias in (PRODUCTION, PREVIOUS)} if found else {}
    production, previous = (
        by_number.get(str(version.version)) if (version := aliased.get(alias)) else None
        for alias in (PRODUCTION, PREVIOUS)
    )
    return Record(address, production=production, previous=previous, versions=versions, entries=read_entries(client))


def _read_runs(client: "MlflowClient", wanted: set[str]) -> "dict[str, Run]":
    """Return the runs of the versions by id; a run that was deleted is left out."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(EXPERIMENT)
    # One question for all of them; the runs of the grid's points have no such tag.
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
    measured = (run.data.metrics, run.data.params, run.data.tags) if run else ({}, {}, {})
    return Version(
        str(version.version), created_at(version), version.run_id or "", dict(version.tags), *map(dict, measured)
    )


def _explain(error: UserError, address: str) -> tuple[str, str, str]:
    """Say what is wrong, how to mend it, and what MLflow said."""
    detail = str(error).replace(tracking_uri(), address)
    if getattr(error.__cause__, "error_code", "") in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        user = os.environ.get("MLFLOW_TRACKING_USERNAME") or "nobody"
        login = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in .env or in the environment"
        problem = f"MLflow at {address} refuses the login of {user}."
        return problem, f"{login}, then start the dashboard again.", detail
    silent = "Max retries exceeded" in detail or "timed out" in detail
    problem = f"MLflow at {address} {'is down: it does not answer' if silent else 'cannot be read'}."
    return problem, _mend(tracking_uri()), detail


def _mend(uri: str) -> str:
    if uri.startswith("http"):
        return (
            "Start that server (on this machine: make up) and load this page again; or put its right address into "
            "MLFLOW_TRACKING_URI in .env or in the environment, and start the dashboard again."
        )
    return "Restore that store, or put another address into MLFLOW_TRACKING_URI, and start the dashboard again."
