"""The release steps on the small demo: from a candidate to Production, and everything that must not get there."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT, run
from demo_pipeline import go, read, registry


@pytest.mark.slow
def test_a_store_that_is_new_is_filled_again_and_no_stage_runs(demo_copy):
    (demo_copy / "mlflow.db").unlink()
    shutil.rmtree(demo_copy / "mlartifacts")
    printed = go("snakemake", demo_copy)
    assert "  train_model " not in printed and "  register_candidate " in printed
    assert len(registry(demo_copy).search_model_versions("name = 'churn-model'")) == 1
    receipt, other = "reports/release/register_candidate.json", f"sqlite:///{demo_copy}/other.db"
    answer = run("snakemake", "--cores", "2", receipt, cwd=demo_copy, MLFLOW_TRACKING_URI=other)
    printed = answer.stdout + answer.stderr
    assert "  train_model " not in printed and "  register_candidate " in printed


@pytest.mark.slow
def test_a_candidate_is_promoted_only_for_a_real_gain_and_previous_is_kept(two_models, tmp_path):
    repository = shutil.copytree(two_models, tmp_path / "repository", symlinks=True)
    printed = go("snakemake", repository)
    assert "  clean_payments@" not in printed and "  train_model " not in printed and "  score_users@" in printed
    client = registry(repository)
    worse = read(repository, "reports/release/evaluation.json")
    assert worse["decision"] == "skip" and worse["gain"] < 0
    assert str(client.get_model_version_by_alias("churn-model", "production").version) == "1"
    assert client.get_model_version("churn-model", "2").tags["decision"] == "skip"
    # Were the worse one in Production, the first candidate would be a real gain over it.
    client.set_registered_model_alias("churn-model", "production", "2")
    run("git", "checkout", "--quiet", "--force", "main", cwd=repository)
    run("dvc", "checkout", "--force", "--quiet", cwd=repository)
    evaluation = "reports/release/evaluation.json"
    run("snakemake", "--cores", "2", evaluation, cwd=repository, CHURN_PROMOTION_MIN_DELTA="0.9")
    assert read(repository, evaluation)["decision"] == "skip"
    # Half the gain is asked for: how much a better model gains on so few users is chance.
    go("snakemake", repository, CHURN_PROMOTION_MIN_DELTA=str(-worse["gain"] / 2))
    better = read(repository, evaluation)
    assert better["decision"] == "promote" and better["gain"] == pytest.approx(-worse["gain"])
    assert str(client.get_model_version_by_alias("churn-model", "production").version) == "1"
    assert str(client.get_model_version_by_alias("churn-model", "previous").version) == "2"


def test_a_production_that_changed_since_the_comparison_stops_the_promotion(demo_copy):
    path = demo_copy / "reports/release/evaluation.json"
    evaluation = json.loads(path.read_text())
    evaluation |= {"candidate": {"version": "7", "roc_auc": 0.9}, "production": {"version": "6", "roc_auc": 0.8}}
    path.write_text(json.dumps(evaluation))
    command = ("python", "scripts/promote_model.py", "--evaluation", path, "--receipt", demo_copy / "receipt.json")
    message = run(*command, cwd=demo_copy, fails=True).stderr
    assert (
        "Production of churn-model is now version 1, but the candidate (version 7) was compared with version 6"
        in message
    )
    assert not (demo_copy / "receipt.json").exists()


def test_a_production_that_cannot_score_stops_the_comparison(demo_copy):
    before = (demo_copy / "reports/release/evaluation.json").read_bytes()
    holdout = pq.read_table(demo_copy / "data/training/holdout.parquet")
    pq.write_table(holdout.drop_columns(["age"]), demo_copy / "other.parquet")
    command = (
        *("python", "scripts/evaluate_candidate.py", "--candidate", "reports/release/register_candidate.json"),
        *("--training-set", "metrics/build_training_set.json"),
        *("--evaluation", "reports/release/evaluation.json", "--holdout"),
    )
    message = run(*command, "other.parquet", cwd=demo_copy, fails=True).stderr
    assert "Version 1 of churn-model at sqlite:///mlflow.db cannot score the holdout" in message and "age" in message
    client = registry(demo_copy)
    meaning = {"meaning": client.get_model_version("churn-model", "1").tags["meaning"]}
    lost = client.create_model_version("churn-model", (demo_copy / "lost").as_uri(), tags=meaning).version
    client.set_registered_model_alias("churn-model", "production", lost)
    message = run(*command, "data/training/holdout.parquet", cwd=demo_copy, fails=True).stderr
    assert f"Version {lost} of churn-model" in message and "Nothing is promoted" in message
    assert (demo_copy / "reports/release/evaluation.json").read_bytes() == before


@pytest.mark.slow
def test_a_candidate_that_fails_a_gate_is_not_promoted(demo_copy):
    for path in "mlartifacts", "reports/release":
        shutil.rmtree(demo_copy / path)
    (demo_copy / "mlflow.db").unlink()
    params = (demo_copy / "params.yaml").read_text()
    (demo_copy / "params.yaml").write_text(params.replace("min_roc_auc: 0.6 ", "min_roc_auc: 0.99"))
    run("snakemake", "--cores", "2", cwd=demo_copy)
    evaluation = read(demo_copy, "reports/release/evaluation.json")
    assert evaluation["decision"] == "skip" and "is below the required 0.99" in evaluation["reason"]
    assert read(demo_copy, "reports/release/promote_model.json")["production_version"] is None
    (scores,) = (demo_copy / "reports/release/score_users").glob("*.json")
    assert "no version is in Production" in json.loads(scores.read_text())["reason"]
    printed = run("python", "scripts", "summary", cwd=demo_copy).stdout
    assert printed.startswith("Decision    skip.") and "scores        none: no version is in Production" in printed
    assert "Nothing to be done" in run("snakemake", "-n", cwd=demo_copy).stdout


def test_an_experiment_of_dvc_never_reaches_the_registry(demo_copy):
    run("git", "add", "--all", cwd=demo_copy)
    run("git", "commit", "--quiet", "--message", "All", cwd=demo_copy)
    before = (demo_copy / "mlflow.db").read_bytes()
    run("dvc", "exp", "run", "--set-param", "explain_model.sample_rows=50", cwd=demo_copy)
    assert yaml.safe_load((demo_copy / "params.yaml").read_text())["explain_model"]["sample_rows"] == 50
    assert (demo_copy / "mlflow.db").read_bytes() == before


def survive_kills(step: str, repository: Path, **environment: str) -> int:
    """Run a release step to its end, killed after each call to the registry; return how many kills there were."""
    folder = "reports/release"
    registered, evaluated = f"{folder}/register_candidate.json", f"{folder}/evaluation.json"
    arguments = {
        "register_candidate": ("--receipt", registered),
        "evaluate_candidate": (
            *("--candidate", registered, "--evaluation", evaluated, "--holdout", "data/training/holdout.parquet"),
            *("--training-set", "metrics/build_training_set.json"),
        ),
        "promote_model": ("--evaluation", evaluated, "--receipt", f"{folder}/promote_model.json"),
    }
    command = ("python", ROOT / "tests" / "support" / "kill_after_each_call.py", f"scripts/{step}.py", *arguments[step])
    return int(run(*command, cwd=repository, **environment).stdout.splitlines()[-1].split()[0])


@pytest.mark.slow
def test_release_steps_killed_after_each_call_or_run_twice_make_one_version(demo_copy):
    for path in "mlartifacts", "reports/release":
        shutil.rmtree(demo_copy / path)
    (demo_copy / "mlflow.db").unlink()
    assert survive_kills("register_candidate", demo_copy) > 12
    survive_kills("evaluate_candidate", demo_copy)
    assert survive_kills("promote_model", demo_copy) == 7
    client = registry(demo_copy)
    version = client.get_model_version_by_alias("churn-model", "production")
    # Another version in Production: with no gain asked for, the candidate takes its place.
    other = client.create_model_version("churn-model", version.source, run_id=version.run_id).version
    client.set_registered_model_alias("churn-model", "production", other)
    params = (demo_copy / "params.yaml").read_text()
    assert "confidence: 0.9 " in params
    (demo_copy / "params.yaml").write_text(params.replace("confidence: 0.9 ", "confidence: null "))
    survive_kills("evaluate_candidate", demo_copy, CHURN_PROMOTION_MIN_DELTA="0")
    assert survive_kills("promote_model", demo_copy) == 7
    aliases = client.get_registered_model("churn-model").aliases
    assert {alias: int(number) for alias, number in aliases.items()} == {"production": 1, "previous": int(other)}
    # Run twice: Snakemake has no receipt of what the scripts did.
    go("snakemake", demo_copy)
    evaluation = read(demo_copy, "reports/release/evaluation.json")
    assert evaluation["decision"] == "skip" and "already in Production" in evaluation["reason"]
    assert all(gate["passed"] for gate in evaluation["gates"]), "beside itself it need not gain"
    assert client.get_model_version("churn-model", "1").tags["decision"] == "promote", "why it is there stays on it"
    versions = client.search_model_versions("name = 'churn-model'")
    assert sorted(int(version.version) for version in versions) == [1, int(other)]
    (experiment,) = [found for found in client.search_experiments() if found.name == "churn_retention"]
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [found for found in runs if "mlflow.parentRunId" not in found.data.tags]
    assert len(runs) == 1 + len(read(demo_copy, "plots/train_model/grid.json"))
    assert {found.info.status for found in runs} == {"FINISHED"}
    assert {found.data.tags.get("mlflow.parentRunId") for found in runs} == {None, parent.info.run_id}


def test_a_killed_registration_continues_at_another_commit_and_with_old_names_of_its_children(demo_copy):
    for path in "mlartifacts", "reports/release":
        shutil.rmtree(demo_copy / path)
    (demo_copy / "mlflow.db").unlink()
    register = ("python", "scripts/register_candidate.py", "--receipt", "receipt.json")
    run(*register, cwd=demo_copy)
    client = registry(demo_copy)
    (experiment,) = [found for found in client.search_experiments() if found.name == "churn_retention"]
    before = {found.info.run_id: found.info.run_name for found in client.search_runs([experiment.experiment_id])}
    # As it was killed before it made the version, when the children's names had no commit.
    client.delete_model_version("churn-model", "1")
    first = next(run_id for run_id, name in before.items() if "regParam" in name)
    client.update_run(first, name=before[first].partition(" ")[2])
    run("git", "commit", "--quiet", "--allow-empty", "--message", "Another commit", cwd=demo_copy)
    run(*register, cwd=demo_copy)
    after = {found.info.run_id: found.info.run_name for found in client.search_runs([experiment.experiment_id])}
    assert after == before | {first: before[first].partition(" ")[2]}
    assert len(client.search_model_versions("name = 'churn-model'")) == 1


def test_a_version_keeps_its_run_even_if_another_run_has_the_same_candidate(demo_copy):
    """As after make migrate-store, on a server that had registered the candidate itself."""
    before, client = read(demo_copy, "reports/release/register_candidate.json"), registry(demo_copy)
    experiment = client.get_run(before["run_id"]).info.experiment_id
    client.create_run(experiment, tags={"candidate_digest": before["digest"]})
    run("python", "scripts/register_candidate.py", "--receipt", "receipt.json", cwd=demo_copy)
    assert read(demo_copy, "receipt.json") == before


def test_a_store_that_does_not_answer_is_named(demo_copy):
    environment = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    command = ("python", "scripts/register_candidate.py", "--receipt", demo_copy / "receipt.json")
    message = run(*command, cwd=demo_copy, fails=True, **environment).stderr
    assert "MLflow at http://127.0.0.1:9" in message and "MLFLOW_TRACKING_URI" in message
    assert not (demo_copy / "receipt.json").exists()
