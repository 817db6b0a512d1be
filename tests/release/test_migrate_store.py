"""An embedded store is copied to the server completely and once, despite kills; the server's own Production stays."""

import hashlib
import json
import shutil
import sys
from contextlib import chdir
from datetime import datetime
from pathlib import Path

import conftest
import mlflow
import numpy as np
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow_server import run_server

from churn.base.command import UserError
from churn.release.ledger import last_entry, read_entries
from churn.release.local_store import find_runs, find_versions
from churn.release.names import experiment_name, ledger_name, model_name
from evaluate_candidate import evaluate_candidate
from promote_model import promote_model
from register_candidate import register_candidate
from tools.ledger import show_ledger
from tools.migrate_store import migrate_store
from tools.release_hold import release_hold
from tools.rollback import rollback

# What a copy has beside the tags of what it was made from, and what it names otherwise.
OWN_TAGS = {"migrated_from", "migrated_status", "migrated_created", "migrated_version", "mlflow.parentRunId"}
RELEASE, HOLDOUT = Path("reports/release"), Path("data/training/holdout.parquet")
BY_HAND = 1_700_000_000_000
GATES = {"min_delta": 0.0, "confidence": None, "min_roc_auc": 0.5, "max_ece": 0.5, "max_segment_loss": 1.0}


def fill_store(client) -> None:
    """Register the candidate, promote it three times, roll it back, and add what else a store may hold.

    Version 2 is deleted, and version 3, in Production in the end, lies in no run.
    """
    receipt = RELEASE / "register_candidate.json"
    register_candidate(receipt, {"train_model": {"family": "logistic_regression"}})
    release(receipt)
    first = client.get_model_version(model_name(), "1")
    meaning = {"meaning": first.tags["meaning"]}
    client.create_model_version(model_name(), first.source, first.run_id, tags=meaning)
    # Somebody moves the alias by hand, and the candidate comes back.
    client.set_registered_model_alias(model_name(), "production", "2")
    release(receipt)
    client.delete_model_version(model_name(), "2")
    client.create_model_version(ledger_name(), "created by hand")
    shutil.copytree(first.source.removeprefix("file://"), "elsewhere")
    client.create_model_version(model_name(), Path("elsewhere").absolute().as_uri(), tags={"made": "by hand"} | meaning)
    client.set_registered_model_alias(model_name(), "production", "3")
    release(receipt)
    rollback("calls went up in Lima")
    experiment = client.get_experiment_by_name(experiment_name()).experiment_id
    by_hand = client.create_run(experiment, start_time=BY_HAND, run_name="by hand").info.run_id
    points = [Metric("loss", 1 / step, BY_HAND + step, step) for step in range(1, 1201)]
    client.log_batch(by_hand, points, [Param(f"param_{number}", str(number)) for number in range(150)])
    client.set_terminated(by_hand, "FAILED", BY_HAND + 5000)
    client.create_run(experiment, run_name="goes on")
    client.delete_run(client.create_run(experiment, run_name="deleted").info.run_id)


def release(receipt: Path) -> None:
    evaluate_candidate(receipt, HOLDOUT, Path("metrics/build_training_set.json"), RELEASE / "evaluation.json", GATES)
    promote_model(RELEASE / "evaluation.json", RELEASE / "promote_model.json")


@pytest.fixture(scope="module")
def repository(demo, tmp_path_factory):
    """The demo, run to its end, with a store of its own in which Production has moved several times."""
    folder = shutil.copytree(demo, tmp_path_factory.mktemp("migration") / "repository", symlinks=True)
    (folder / "mlflow.db").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", address(folder))
        fill_store(MlflowClient(address(folder)))
    return folder


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The address of a new server, which keeps all that it has in this test's folder; MLFLOW_TRACKING_URI names it."""
    # As the script sets them, which here would outlast the test.
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.chdir(tmp_path)
    with run_server(tmp_path / "server.db") as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        yield address


def address(folder: Path) -> str:
    return f"sqlite:///{folder}/mlflow.db"


def migrate(source: str, capsys) -> list[str]:
    """Copy a store and return the lines that were printed, but those of versions."""
    capsys.readouterr()
    migrate_store(source)
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("version ")]


def describe_runs(uri: str) -> dict[str, dict]:
    """Return all that a store or server has of its runs, by the run of the store that each was copied from."""
    client = MlflowClient(uri, uri)
    runs = find_runs(client, client.get_experiment_by_name(experiment_name()).experiment_id)
    origins = {run.info.run_id: run.data.tags.get("migrated_from", run.info.run_id) for run in runs}
    assert len(set(origins.values())) == len(origins)
    described = {}
    for run in runs:
        points = [one for name in run.data.metrics for one in client.get_metric_history(run.info.run_id, name)]
        described[origins[run.info.run_id]] = {
            "info": (run.info.run_name, run.info.status, run.info.start_time, run.info.end_time),
            "params": run.data.params,
            "metrics": sorted((point.key, point.step, point.timestamp, point.value) for point in points),
            "tags": {name: text for name, text in run.data.tags.items() if name not in OWN_TAGS},
            "parent": origins.get(run.data.tags.get("mlflow.parentRunId")),
            "artifacts": hash_artifacts(run.info.artifact_uri),
        }
    return described


def hash_artifacts(uri: str) -> dict[str, str]:
    """Return the hash of each file, read from where the store, or the server in this folder, keeps them."""
    folder = Path(uri.removeprefix("file://").replace("mlflow-artifacts:", "mlartifacts"))
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in files}


def describe_ledger(uri: str) -> list[tuple]:
    entries = read_entries(MlflowClient(uri, uri))
    return [(one.action, one.after, one.valid, one.done, one.when, one.who, one.writer, one.why) for one in entries]


def check_server(repository: Path, server: str) -> None:
    """Check that the server has what the store has, each once, and that version 3 is its version 2."""
    store, client = MlflowClient(address(repository), address(repository)), MlflowClient(server, server)
    runs, copies = describe_runs(address(repository)), describe_runs(server)
    # The model that lies in no run has a run of its own.
    (carrier,) = copies.keys() - runs.keys()
    assert copies[carrier]["info"][:2] == ("model of version 3", "FINISHED") and copies[carrier]["artifacts"]
    assert {name: run for name, run in copies.items() if name != carrier} == runs
    assert sum("model/MLmodel" in run["artifacts"] for run in copies.values()) == 2
    assert {run["info"][1] for run in runs.values()} == {"FINISHED", "FAILED", "RUNNING"}
    first, last = find_versions(client, model_name())
    for version, old in (first, "1"), (last, "3"):
        made_from = store.get_model_version(model_name(), old)
        tags = {name: text for name, text in version.tags.items() if name not in OWN_TAGS}
        assert tags == made_from.tags | renumbered(made_from.tags)
        assert version.description == (made_from.description or "") and version.tags["migrated_version"] == old
        created = datetime.fromisoformat(version.tags["migrated_created"])
        assert created.timestamp() * 1000 == pytest.approx(made_from.creation_timestamp)
        assert version.run_id == client.get_run(version.run_id).info.run_id
    assert client.get_run(first.run_id).data.tags["migrated_from"] == store.get_model_version(model_name(), "1").run_id
    aliases = client.get_registered_model(model_name()).aliases
    assert {alias: str(number) for alias, number in aliases.items()} == {
        **{"production": "2", "previous": "1", "hold": "2"}
    }
    assert describe_ledger(server) == describe_ledger(address(repository))
    assert [(one.from_version, one.to_version, one.previous_version) for one in read_entries(client)] == [
        ("", "1", ""),
        ("2 (deleted)", "1", "2 (deleted)"),
        ("", "", ""),
        ("2", "1", "2"),
        ("1", "2", "1"),
    ]
    assert last_entry(client).number == 5
    entry = client.get_model_version(ledger_name(), "5")
    assert entry.run_id == last.run_id
    assert entry.description == "rollback: version 2 replaces version 1. calls went up in Lima"


def renumbered(tags: dict[str, str]) -> dict[str, str]:
    """Return the evaluation as it must be where version 3 is version 2."""
    if "evaluation" not in tags:
        return {}
    evaluation = json.loads(tags["evaluation"])
    assert evaluation["production"]["version"] == "3"
    evaluation["production"]["version"] = "2"
    return {"evaluation": json.dumps(evaluation)}


def predict(uri: str, version: str, rows) -> np.ndarray:
    mlflow.set_tracking_uri(uri)
    model = mlflow.pyfunc.load_model(f"models:/{model_name()}/{version}")
    return model.predict(rows.select(model.metadata.get_input_schema().input_names()).to_pandas())


@pytest.mark.slow
def test_everything_is_copied_once_and_the_old_folder_is_no_longer_needed(repository, server, capsys):
    elsewhere = (repository / "elsewhere").rename(repository / "lost")
    with pytest.raises(
        UserError, match=rf"model of version 3 of churn-model .* is missing at file://{repository}/elsew"
    ):
        migrate_store(address(repository))
    elsewhere.rename(repository / "elsewhere")
    assert MlflowClient(server, server).get_experiment_by_name(experiment_name()) is None
    (summary,) = migrate(address(repository), capsys)
    assert summary == "Copied: 5 runs, 2 versions, 3 aliases, 5 ledger entries. Already there: nothing."
    check_server(repository, server)
    rows = pq.read_table(repository / HOLDOUT)
    before = [predict(address(repository), version, rows) for version in ("1", "3")]
    away = repository.rename(repository.with_name("away"))
    try:
        assert all(map(np.array_equal, before, [predict(server, version, rows) for version in ("1", "2")]))
        # The rest of the pipeline finds its candidate there, and goes on from the ledger.
        with chdir(away):
            register_candidate(Path("receipt.json").absolute(), {})
            assert json.loads(Path("receipt.json").read_text())["version"] == "1"
            Path("receipt.json").unlink()
    finally:
        away.rename(repository)
    (summary,) = migrate(address(repository), capsys)
    assert summary == "Copied: nothing. Already there: 5 runs, 2 versions, 3 aliases, 5 ledger entries."
    _, *table = show_ledger()
    assert len(table) == 5 and "lost" not in "".join(table)


@pytest.mark.slow
def test_a_copy_killed_after_each_call_is_complete_in_the_end(repository, server, capsys):
    killer, scripts = conftest.ROOT / "tests" / "support" / "kill_after_each_call.py", conftest.ROOT / "scripts"
    answer = conftest.run(sys.executable, killer, scripts, "migrate_store", cwd=repository, MLFLOW_TRACKING_URI=server)
    assert int(answer.stdout.splitlines()[-1].split()[0]) > 10
    check_server(repository, server)


@pytest.mark.slow
def test_a_store_can_be_copied_again_until_the_server_has_its_own_production(
    repository, server, capsys, tmp_path, monkeypatch
):
    # Registered at the server before: the same candidate is the same version.
    with chdir(repository):
        register_candidate(tmp_path / "receipt.json", {})
    source, client = address(tmp_path), MlflowClient(server, server)
    shutil.copyfile(repository / "mlflow.db", tmp_path / "mlflow.db")
    (summary,) = migrate(source, capsys)
    assert summary == "Copied: 5 runs, 1 versions, 3 aliases, 5 ledger entries. Already there: 1 versions."
    assert [version.tags.get("migrated_version") for version in find_versions(client, model_name())] == [None, "3"]
    assert client.get_model_version(model_name(), "1").tags["rolled_back"] == "calls went up in Lima"
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", source)
        rollback("the calls were counted twice")
    (summary,) = migrate(source, capsys)
    assert summary.startswith("Copied: 3 aliases, 1 ledger entries.")
    assert aliases(client) == {"production": "1", "previous": "2", "hold": "1"}
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", source)
        release_hold("the calls were counted twice")
    migrate(source, capsys)
    assert aliases(client) == {"production": "1", "previous": "2"}
    assert "rolled_back" not in client.get_model_version(model_name(), "1").tags
    assert client.get_model_version(model_name(), "2").tags["rolled_back"] == "the calls were counted twice"
    rollback("it was right after all")
    kept, summary = migrate(source, capsys)
    assert kept.startswith("The server keeps its own Production: version 2.")
    assert "it is version 1 (by the server's numbers)" in kept and "Copied: nothing." in summary
    assert aliases(client) == {"production": "2", "previous": "1", "hold": "2"}
    assert len(read_entries(client)) == 8


def aliases(client) -> dict[str, str]:
    return {alias: str(version) for alias, version in client.get_registered_model(model_name()).aliases.items()}


def test_a_store_that_cannot_be_copied_gives_one_clear_message(repository, tmp_path, monkeypatch):
    def fail(source: str, server: str) -> str:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
        with pytest.raises(UserError) as error:
            migrate_store(source)
        return str(error.value)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    nobody = "http://127.0.0.1:9"
    assert "MLFLOW_TRACKING_URI is not set" in fail("sqlite:///mlflow.db", "")
    assert "Run make up first" in fail("sqlite:///mlflow.db", "sqlite:///other.db")
    assert f"The store {tmp_path}/none.db does not exist" in fail("sqlite:///none.db", nobody)
    assert "must name an embedded store" in fail("mlflow.db", nobody)
    (tmp_path / "text.db").write_text("not a database at all, but a text of some length")
    (tmp_path / "empty.db").touch()
    for name in "text.db", "empty.db":
        assert f"{tmp_path}/{name} is not an MLflow store" in fail(f"sqlite:///{name}", nobody)
    assert f"MLflow at {nobody}" in fail(address(repository), nobody)
