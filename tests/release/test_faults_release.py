"""MLflow or its store goes away, is slow or refuses during a release: it is named, and the next run finishes."""

import json
import re
import secrets
import shutil
import time

import pytest
from demo_pipeline import read
from running_stack import TIMEOUT_SECONDS, fails_soon
from slow_link import slow_link

from churn.stack.settings import ARTIFACT_BUCKET

REGISTER = ("python", "scripts/register_candidate.py", "--receipt", "receipt.json")
PROMOTE = ("python", "scripts/promote_model.py", "--evaluation", "evaluation.json", "--receipt", "promotion.json")


@pytest.fixture
def candidate(ran_stack, stack, tmp_path, monkeypatch):
    """A repository with a candidate that the registry does not have yet, and a client of the registry."""
    variables = stack.variables
    for name in "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD":
        monkeypatch.setenv(name, variables[name])
    from mlflow import MlflowClient

    repository = tmp_path / "repository"
    shutil.copytree(stack.repository, repository, symlinks=True, ignore=shutil.ignore_patterns(".stack", ".snakemake"))
    # Another digest is another candidate to the registry.
    lock, digest = repository / "dvc.lock", secrets.token_hex(16) + ".dir"
    text, found = re.subn(
        r"(- path: models/candidate\n\s+hash: md5\n\s+md5: )\w+\.dir", rf"\g<1>{digest}", lock.read_text()
    )
    assert found
    lock.write_text(text)
    return repository, MlflowClient(variables["MLFLOW_TRACKING_URI"]), digest


def start(stack, candidate, command, address):
    repository, _, _ = candidate
    return stack.open(*command, cwd=repository, MLFLOW_TRACKING_URI=address)


def registered_once(stack, candidate) -> str:
    """Register again, and return the one version; its scorer is whole."""
    repository, client, digest = candidate
    stack.run(*REGISTER, cwd=repository)
    versions = client.search_model_versions(f"name = 'churn-model' and tags.`candidate_digest` = '{digest}'")
    runs = client.search_runs(
        [client.get_experiment_by_name("churn_retention").experiment_id], f"tags.candidate_digest = '{digest}'"
    )
    assert len(versions) == len(runs) == 1 and runs[0].info.status == "FINISHED"
    scorer = (repository / "models/candidate/scorer.onnx").read_bytes()
    stored = [body for key, body in stack.objects(ARTIFACT_BUCKET).items() if runs[0].info.run_id in key]
    assert scorer in stored
    return str(versions[0].version)


@pytest.mark.parametrize("stopped", ["minio", "mlflow"])
def test_a_server_stops_while_a_candidate_is_registered(stack, candidate, stopped):
    _, client, digest = candidate
    with slow_link(stack.variables["CHURN_MLFLOW_PORT"], 100_000) as link:
        process = start(stack, candidate, REGISTER, link.address)
        # The run is made, and its artifacts are on their way.
        link.wait_for(60_000)
        with stack.without(stopped):
            fails_soon(process, f"MLflow at {link.address}")
    assert not (candidate[0] / "receipt.json").exists()
    assert not client.search_model_versions(f"name = 'churn-model' and tags.`candidate_digest` = '{digest}'")
    registered_once(stack, candidate)


def test_mlflow_stops_while_a_candidate_is_promoted(stack, candidate):
    repository, client, _ = candidate
    version = registered_once(stack, candidate)
    before = str(client.get_model_version_by_alias("churn-model", "production").version)
    evaluation = read(stack.repository, "reports/release/evaluation.json")
    evaluation |= {"decision": "promote", "reason": "A test promotes it."}
    evaluation |= {"candidate": evaluation["candidate"] | {"version": version}}
    evaluation |= {"production": evaluation["candidate"] | {"version": before}}
    (repository / "evaluation.json").write_text(json.dumps(evaluation))
    with slow_link(stack.variables["CHURN_MLFLOW_PORT"], 5_000) as link:
        process = start(stack, candidate, PROMOTE, link.address)
        link.wait_for(4_000)
        with stack.without("mlflow"):
            fails_soon(process, f"MLflow at {link.address}")
    assert not (repository / "promotion.json").exists()
    stack.run(*PROMOTE, cwd=repository)
    assert str(client.get_model_version_by_alias("churn-model", "production").version) == version
    assert str(client.get_model_version_by_alias("churn-model", "previous").version) == before
    moves = [line for line in stack.run("python", "scripts", "ledger").stdout.splitlines() if "A test" in line]
    assert len([line for line in moves if f" {version} " in line and "lost" not in line]) == 1


def test_wrong_logins_and_no_server_are_named(stack, candidate):
    address = stack.variables["MLFLOW_TRACKING_URI"]
    for wrong in {"MLFLOW_TRACKING_PASSWORD": "wrong"}, {"MLFLOW_TRACKING_USERNAME": "nobody"}:
        printed = stack.run("python", "scripts", "ledger", fails=True, **wrong).stderr
        assert f"MLflow at {address}" in printed and "401" in printed and "MLFLOW_TRACKING_PASSWORD" in printed
    began = time.monotonic()
    printed = stack.run(*REGISTER, cwd=candidate[0], fails=True, MLFLOW_TRACKING_URI="http://127.0.0.1:9").stderr
    assert "MLflow at http://127.0.0.1:9" in printed and time.monotonic() - began < TIMEOUT_SECONDS


def test_a_slow_connection_is_waited_for(stack, candidate):
    with slow_link(stack.variables["CHURN_MLFLOW_PORT"], 200_000) as link:
        stack.run(*REGISTER, cwd=candidate[0], MLFLOW_TRACKING_URI=link.address)
    registered_once(stack, candidate)
