"""Copy an embedded store to a server: each run, version and ledger entry once, even after a kill."""

import json
import logging
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from churn.release.identity import choose_version
from churn.release.ledger import CREATED_TAG, Move, create_ledger, explain_move, last_move, show_hold
from churn.release.local_store import PARENT_TAG, Store
from churn.release.names import experiment_name, ledger_name, model_name
from churn.release.registry import (
    PREVIOUS,
    PRODUCTION,
    ROLLED_BACK_TAG,
    find_runs,
    find_versions,
    retry_once,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

LOG = logging.getLogger(__name__)
# The origin of a copy; each copy is created in one call that carries this tag.
FROM_TAG = "migrated_from"
# The status of a run that was copied completely.
WHOLE_TAG = "migrated_status"
# The version's number in the store: reasons and model cards may mention it.
NUMBER_TAG = "migrated_version"
# A version is ready as soon as it is created; MLflow would print that it waits.
AT_ONCE = 0
REFERENCES = ("from_version", "to_version", "previous_version")


@dataclass
class Migration:
    """The migration of one store to one server.

    Attributes
    ----------
    store : Store
    client : MlflowClient
        Of the server.
    copied, present : dict of int
        How many runs, versions, aliases and ledger entries were copied, and were already there.
    runs : dict of Run
        The server's copies, by the id of the run in the store.
    versions : dict of ModelVersion
        The server's versions, by the number of the version in the store.
    """

    store: Store
    client: "MlflowClient"
    copied: dict[str, int] = field(default_factory=dict)
    present: dict[str, int] = field(default_factory=dict)
    runs: "dict[str, Run]" = field(default_factory=dict)
    versions: "dict[str, ModelVersion]" = field(default_factory=dict)

    def copy_everything(self) -> str | None:
        """Copy runs, versions, aliases and the ledger; return why the last two were not copied, None if they were.

        Raises
        ------
        UserError
            When the files of a version to copy are missing; then nothing was copied.
        """
        self._find_versions()
        for version in self.store.versions:
            if str(version.version) not in self.versions:
                self.store.check_model(version)
        experiment = self._find_experiment()
        here = {run.data.tags.get(FROM_TAG): run for run in reversed(find_runs(self.client, experiment))}
        for run in self.store.runs:
            self._copy_run(run, experiment, here.get(run.info.run_id))
        if self.store.model is None:
            return None
        if not self.client.search_registered_models(f"name = '{model_name()}'"):
            self.client.create_registered_model(model_name(), self.store.model.tags, self.store.model.description)
        for version in self.store.versions:
            self._copy_version(version, experiment, here.get(describe_origin(version)))
        self._renumber_evaluations()
        return self._copy_production(self.store.model)

    def _find_experiment(self) -> str:
        found = self.client.get_experiment_by_name(experiment_name())
        if found is not None:
            return found.experiment_id
        return self.client.create_experiment(
            experiment_name(), tags=self.store.experiment.tags if self.store.experiment else None
        )

    def _copy_run(self, run: "Run", experiment: str, copy: "Run | None") -> None:
        """Copy a run, or what is missing; a run that has continued in the store since then is copied again."""
        if copy is not None and copy.data.tags.get(WHOLE_TAG) == run.info.status:
            self._count(self.present, "runs")
        else:
            if copy is None:
                tags = run.data.tags | {FROM_TAG: run.info.run_id}
                if (parent := tags.get(PARENT_TAG)) in self.runs:
                    tags[PARENT_TAG] = self.runs[parent].info.run_id
                copy = self.client.create_run(experiment, run.info.start_time, tags, run.info.run_name)
            self._fill_run(run, copy.info.run_id)
            self._count(self.copied, "runs")
        self.runs[run.info.run_id] = copy

    def _fill_run(self, run: "Run", copy: str) -> None:
        from mlflow.entities import Param

        params = [Param(name, value) for name, value in run.data.params.items()]
        self.client.log_batch(copy, self.store.read_metrics(run), params)
        with tempfile.TemporaryDirectory() as folder:
            if artifacts := self.store.fetch_artifacts(run, folder):
                LOG.info("run %s and its artifacts", run.info.run_name)
                self.client.log_artifacts(copy, artifacts)
        if run.info.end_time is not None:
            self.client.set_terminated(copy, run.info.status, run.info.end_time)
        self.client.set_tag(copy, WHOLE_TAG, run.info.status)

    def _find_versions(self) -> None:
        """Find the versions that the server already has.

        These were copied earlier, or are the same: registered at the server, or copied from another store.
        """
        there = find_versions(self.client, model_name())
        ours = {describe_origin(version) for version in self.store.versions}
        copies = {version.tags[FROM_TAG]: version for version in reversed(there) if FROM_TAG in version.tags}
        others = [version for version in there if version.tags.get(FROM_TAG) not in ours]
        for version in self.store.versions:
            found = copies.get(describe_origin(version)) or choose_version(others, version.tags)
            if found:
                self.versions[str(version.version)] = found

    def _copy_version(self, version: "ModelVersion", experiment: str, carrier: "Run | None") -> None:
        number = str(version.version)
        if number in self.versions:
            self._count(self.present, "versions")
            return
        source, run = self._find_place(version, experiment, carrier)
        tags = version.tags | {NUMBER_TAG: number} | describe_copy(version)
        self.versions[number] = self.client.create_model_version(
            model_name(), source, run, tags, version.run_link or None, version.description, AT_ONCE
        )
        self._count(self.copied, "versions")

    def _find_place(self, version: "ModelVersion", experiment: str, carrier: "Run | None") -> tuple[str, str]:
        """Return where the server has a version's model, and in which run.

        A model whose run was not copied, because it is deleted or in another experiment, gets a run with only the
        model.
        """
        run = next((run for run in self.store.runs if run.info.run_id == version.run_id), None)
        source = cast(str, version.source)
        if run is not None and source.startswith(f"{run.info.artifact_uri}/"):
            copy = self.runs[run.info.run_id]
            return copy.info.artifact_uri + source.removeprefix(run.info.artifact_uri), copy.info.run_id
        if carrier is None:
            tags, name = {FROM_TAG: describe_origin(version)}, f"model of version {version.version}"
            carrier = self.client.create_run(experiment, version.creation_timestamp, tags, name)
        with tempfile.TemporaryDirectory() as folder:
            self.client.log_artifacts(carrier.info.run_id, self.store.fetch_model(version, folder), "model")
        self.client.set_terminated(carrier.info.run_id, end_time=version.creation_timestamp)
        return f"{carrier.info.artifact_uri}/model", carrier.info.run_id

    def _renumber_evaluations(self) -> None:
        """Change the version numbers in each version's evaluation to the server's; keep an evaluation made there."""
        for version in self.store.versions:
            copy, evaluation = self.versions[str(version.version)], version.tags.get("evaluation", "")
            renumbered = self._renumber_evaluation(evaluation)
            if renumbered != evaluation and copy.tags.get("evaluation") == evaluation:
                retry_once(self.client.set_model_version_tag, model_name(), str(copy.version), "evaluation", renumbered)

    def _renumber_evaluation(self, evaluation: str) -> str:
        try:
            content = json.loads(evaluation)
            for role in "candidate", "production":
                if content[role]:
                    content[role]["version"] = self._renumber(content[role]["version"])
        # Written by hand.
        except (ValueError, KeyError, TypeError):
            return evaluation
        return evaluation if content == json.loads(evaluation) else json.dumps(content)

    def _renumber(self, version: str) -> str:
        """Return a version's number at the server; that of a deleted version is marked, so that it names no other."""
        if not version:
            return ""
        return str(self.versions[version].version) if version in self.versions else f"{version} (deleted)"

    def _copy_production(self, model: "RegisteredModel") -> str | None:
        """Copy the aliases and the ledger, unless the server has its own Production; return why not."""
        wanted = {alias: self._renumber(str(number)) for alias, number in model.aliases.items()}
        there = {entry.tags.get(FROM_TAG): entry for entry in find_versions(self.client, ledger_name())}
        aliases = self.client.get_registered_model(model_name()).aliases
        aliases = {alias: str(number) for alias, number in aliases.items()}
        if self._has_own_production(wanted, there, aliases):
            return (
                f"The server keeps its own Production: version {aliases.get(PRODUCTION, 'none')}. In "
                f"{self.store.uri} it is version {wanted.get(PRODUCTION, 'none')} (by the server's numbers); the "
                f"aliases and the {len(self.store.entries)} ledger entries of that store are not copied."
            )
        if len(there) < len(self.store.entries):
            self._mark_rolled_back()
        # Production last, as in the ledger. Aliases before entries: another promotion in the meantime sees Production,
        # and a copy that was killed in between is recognised by its aliases.
        for alias, number in sorted(wanted.items(), key=lambda item: item[0] == PRODUCTION):
            if aliases.get(alias) == number:
                self._count(self.present, "aliases")
            else:
                retry_once(self.client.set_registered_model_alias, model_name(), alias, number)
                self._count(self.copied, "aliases")
        self._copy_ledger(there)
        show_hold(self.client)
        return None

    def _has_own_production(
        self, wanted: dict[str, str], there: "dict[str | None, ModelVersion]", aliases: dict[str, str]
    ) -> bool:
        """Return whether the server has ledger entries or aliases that do not come from the store."""
        if there.keys() - {describe_origin(entry) for entry in self.store.entries}:
            return True
        last = last_move(self.client)
        by_ledger = {PRODUCTION: last.to_version, PREVIOUS: last.previous_version} if last else {}
        return any(
            aliases.get(alias) not in (wanted.get(alias), by_ledger.get(alias) or None)
            for alias in (PRODUCTION, PREVIOUS)
        )

    def _mark_rolled_back(self) -> None:
        for version in self.store.versions:
            copy, why = self.versions[str(version.version)], version.tags.get(ROLLED_BACK_TAG)
            if why is not None and copy.tags.get(ROLLED_BACK_TAG) != why:
                retry_once(self.client.set_model_version_tag, model_name(), str(copy.version), ROLLED_BACK_TAG, why)
            if why is None and ROLLED_BACK_TAG in copy.tags:
                retry_once(self.client.delete_model_version_tag, model_name(), str(copy.version), ROLLED_BACK_TAG)

    def _copy_ledger(self, there: "dict[str | None, ModelVersion]") -> None:
        """Copy the entries in order, each in one call, so that the same entries stay valid."""
        if self.store.entries:
            create_ledger(self.client)
        numbers = {"0": "0"}
        for entry in self.store.entries:
            copy = there.get(describe_origin(entry))
            if copy is None:
                copy = self._copy_entry(entry, numbers)
                self._count(self.copied, "ledger entries")
            else:
                if "done" in entry.tags and "done" not in copy.tags:
                    retry_once(self.client.set_model_version_tag, ledger_name(), str(copy.version), "done", "true")
                self._count(self.present, "ledger entries")
            numbers[str(entry.version)] = str(copy.version)

    def _copy_entry(self, entry: "ModelVersion", numbers: dict[str, str]) -> "ModelVersion":
        tags, description = entry.tags | describe_copy(entry), entry.description
        # An entry created by hand has none of these tags.
        tags |= {name: self._renumber(tags[name]) for name in REFERENCES if name in tags}
        if "after" in tags:
            tags["after"] = numbers.get(tags["after"], f"{tags['after']} (deleted)")
        if all(name in tags for name in (*REFERENCES, "action", "why")):
            move = Move(why=tags["why"], action=tags["action"], **{name: tags[name] for name in REFERENCES})
            description = explain_move(move)
        version = self.versions.get(entry.tags.get("to_version", ""))
        # The server refuses a local path as a source; without a version there is nothing to load, so any address does.
        source = cast(str, version.source) if version else f"migrated:/{ledger_name()}/{entry.version}"
        run = version.run_id or None if version else None
        return self.client.create_model_version(ledger_name(), source, run, tags, None, description, AT_ONCE)

    def _count(self, counts: dict[str, int], kind: str) -> None:
        counts[kind] = counts.get(kind, 0) + 1


def describe_origin(version: "ModelVersion") -> str:
    """Return a name that no other version or entry of any store has."""
    return f"{version.run_id or version.source}/{version.version}/{version.creation_timestamp}"


def describe_copy(version: "ModelVersion") -> dict[str, str]:
    """Return the tags of a copy: its origin, and when that was created (MLflow sets its own date)."""
    created = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
    return {FROM_TAG: describe_origin(version), CREATED_TAG: created.isoformat(timespec="milliseconds")}
