"""The whole small pipeline, really run, through both doors: on demo drops and on real payments."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT, copy_repository, run, shared

SCORE_WITHOUT_JAVA = """
import json, os, sys
import mlflow, numpy, pandas
mlflow.set_tracking_uri("sqlite:///mlflow.db")
model = mlflow.pyfunc.load_model("models:/churn-model@production")
rows = pandas.read_parquet("data/training/holdout.parquet")
features = model.metadata.get_input_schema().input_names()
expected = model.predict(rows[features])
shuffled = rows[features[::-1]].assign(other=1)
assert numpy.array_equal(model.predict(shuffled), expected), "columns come by name, in any order"
try:
    model.predict(rows[features[1:]])
except Exception as error:
    assert features[0] in str(error), error
else:
    raise AssertionError("a missing column is named")
print(json.dumps({"least": float(expected.min()), "most": float(expected.max()), "rows": len(expected)}))
"""


def go(door: str, repository: Path, **environment: str) -> str:
    """Run everything through a door, then look through both: neither has anything left to do."""
    command = {"dvc": ("dvc", "repro"), "snakemake": ("snakemake", "--cores", "2")}[door]
    answer = run(*command, cwd=repository, **environment)
    assert "up to date" in run("dvc", "status", cwd=repository).stdout
    targets = () if door == "snakemake" else ("reports/explainability", "reports/drift")
    rehearsal = run("snakemake", "-n", *targets, cwd=repository, **environment)
    assert "Nothing to be done" in rehearsal.stdout + rehearsal.stderr
    return answer.stdout + answer.stderr


def read(repository: Path, path: str) -> dict:
    return json.loads((repository / path).read_text())


def locked(repository: Path) -> dict:
    """Return dvc.lock's stages; their order is the one in which they ended."""
    return yaml.safe_load((repository / "dvc.lock").read_text())["stages"]


def registry(repository: Path):
    """Return a client of the repository's embedded store."""
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{repository}/mlflow.db")


@pytest.fixture(scope="module")
def demo(demo_repository, tmp_path_factory):
    """The small demo, run by Snakemake to its end."""
    repository = shutil.copytree(demo_repository, tmp_path_factory.mktemp("snakemake") / "repository", symlinks=True)
    go("snakemake", repository)
    return repository


@pytest.fixture
def demo_copy(demo, tmp_path):
    return shutil.copytree(demo, tmp_path / "repository", symlinks=True)


@pytest.fixture(scope="module")
def cdnow(tmp_path_factory):
    """A repository with one ingested drop of real payments, not run yet."""
    log, tool = shared("data/cdnow/CDNOW_master.txt"), shared("tools/make_drops.py")
    folder = tmp_path_factory.mktemp("cdnow")
    run("python", tool, log, folder / "inbox", "--drop", "1998-06-30", cwd=folder)
    repository = copy_repository(folder / "repository")
    run("python", "scripts/ingest_drop.py", folder / "inbox" / "1998-06-30", cwd=repository)
    return repository


def test_both_doors_write_the_same_bytes(demo, demo_repository, tmp_path):
    other = shutil.copytree(demo_repository, tmp_path / "repository", symlinks=True)
    go("dvc", other)
    assert locked(other) == locked(demo)
    metrics = [path for path in (demo / "metrics").rglob("*") if path.is_file()]
    assert len(metrics) == 9
    for path in metrics:
        assert (other / path.relative_to(demo)).read_bytes() == path.read_bytes()
    assert not (other / "mlflow.db").exists(), "dvc repro never reaches the registry"


def test_a_run_ends_in_production_with_everything_that_belongs_to_it(demo):
    evaluation = read(demo, "reports/release/evaluation.json")
    assert evaluation["decision"] == "promote" and evaluation["production"] is None
    client = registry(demo)
    version = client.get_model_version_by_alias("churn-model", "production")
    assert str(version.version) == evaluation["candidate"]["version"] == "1"
    assert version.tags["reason"] == evaluation["reason"]
    run_of_it = client.get_run(version.run_id)
    assert client.get_experiment(run_of_it.info.experiment_id).name == "churn_retention"
    metrics = read(demo, "metrics/train_model.json")
    assert run_of_it.data.metrics["roc_auc"] == pytest.approx(metrics["roc_auc"])
    assert evaluation["candidate"]["roc_auc"] == pytest.approx(metrics["roc_auc"], abs=1e-5), "the scorer is the model"
    assert {"recent_drift_share", "recent_drift_detected"} <= set(run_of_it.data.metrics)
    assert run_of_it.data.params["build_training_set.horizon_days"] == "30"
    tags = run_of_it.data.tags
    assert tags["git_commit"] == run("git", "rev-parse", "HEAD", cwd=demo).stdout.strip()
    assert tags["git_dirty"] == "true", "the demo drops are not committed"
    drop = yaml.safe_load((demo / "data/drops.yaml").read_text())["drops"][0]
    assert {f"raw/{drop}/{name}" for name in ("PAYMENTS.csv", "DEMOGRAFICOS.csv")} <= set(tags)
    kept = {
        file.path for folder in ("dataset", "explainability") for file in client.list_artifacts(version.run_id, folder)
    }
    assert kept == {
        "dataset/churn_features.parquet",
        "explainability/shap_summary.png",
        "explainability/mean_abs_shap.json",
    }
    dataset = pq.read_table(client.download_artifacts(version.run_id, "dataset/churn_features.parquet"))
    assert {"user_id", "as_of_date", "label", "split"} <= set(dataset.column_names)
    assert len(dataset) == metrics["train_rows"] + metrics["holdout_rows"]


def test_production_scores_without_a_jvm(demo):
    tools = demo.parent / "tools"
    tools.mkdir(exist_ok=True)
    answer = run("python", "-c", SCORE_WITHOUT_JAVA, cwd=demo, JAVA_HOME=str(tools))
    found = json.loads(answer.stdout.splitlines()[-1])
    assert 0 <= found["least"] < found["most"] <= 1
    scores = pq.read_table(next((demo / "data/scores").glob("*/scores.parquet")))
    assert scores.column_names == ["user_id", "as_of_date", "churn_probability", "decile", "model_version"]
    assert set(scores["decile"].to_pylist()) == set(range(1, 11))


def test_the_drift_report_is_published_once(demo):
    receipt = read(demo, "reports/release/publish_drift_report.json")
    published = demo / "drift-reports" / f"{receipt['drop']}.html"
    assert published.read_bytes() == next((demo / "reports/drift").glob("*.html")).read_bytes()


def test_the_summary_tells_decision_metrics_and_drift(demo):
    text = run("python", "scripts/summarize_run.py", cwd=demo).stdout
    assert text.startswith("Decision    promote.")
    for word in ("Candidate", "Production", "Drift", "Look next", "ROC AUC", "rfm_logistic"):
        assert word in text


def test_a_store_that_is_new_is_filled_again_and_no_stage_runs(demo_copy):
    (demo_copy / "mlflow.db").unlink()
    shutil.rmtree(demo_copy / "mlartifacts")
    printed = go("snakemake", demo_copy)
    assert "Train the candidate" not in printed and "Register the candidate" in printed
    assert len(registry(demo_copy).search_model_versions("name = 'churn-model'")) == 1
    printed = go("snakemake", demo_copy, MLFLOW_TRACKING_URI=f"sqlite:///{demo_copy}/other.db")
    assert "Train the candidate" not in printed and "Register the candidate" in printed


def test_a_candidate_is_promoted_only_for_a_real_gain_and_previous_is_kept(demo_copy):
    params = yaml.safe_load((demo_copy / "params.yaml").read_text())
    params["train_model"]["grid"] = {"regParam": [0.2], "elasticNetParam": [1.0]}
    (demo_copy / "params.yaml").write_text(yaml.safe_dump(params))
    printed = go("snakemake", demo_copy)
    assert "Clean the payments" not in printed
    client = registry(demo_copy)
    worse = read(demo_copy, "reports/release/evaluation.json")
    assert worse["decision"] == "skip" and worse["gain"] < 0
    assert str(client.get_model_version_by_alias("churn-model", "production").version) == "1"
    assert client.get_model_version("churn-model", "2").tags["decision"] == "skip"
    # Were the worse one in Production, the first candidate would be a real gain over it.
    client.set_registered_model_alias("churn-model", "production", "2")
    run("git", "checkout", "params.yaml", cwd=demo_copy)
    go("snakemake", demo_copy, CHURN_PROMOTION_MIN_DELTA="0.9")
    assert read(demo_copy, "reports/release/evaluation.json")["decision"] == "skip"
    # Half the gain is asked for: how much a better grid gains on so few users is chance.
    go("snakemake", demo_copy, CHURN_PROMOTION_MIN_DELTA=str(-worse["gain"] / 2))
    better = read(demo_copy, "reports/release/evaluation.json")
    assert better["decision"] == "promote" and better["gain"] == pytest.approx(-worse["gain"])
    assert str(client.get_model_version_by_alias("churn-model", "production").version) == "1"
    assert str(client.get_model_version_by_alias("churn-model", "previous").version) == "2"


def test_production_that_moved_meanwhile_stops_the_promotion(demo_copy):
    path = demo_copy / "reports/release/evaluation.json"
    evaluation = json.loads(path.read_text())
    evaluation |= {"candidate": {"version": "7", "roc_auc": 0.9}, "production": {"version": "6", "roc_auc": 0.8}}
    path.write_text(json.dumps(evaluation))
    command = ("python", "scripts/promote_model.py", "--evaluation", path, "--receipt", demo_copy / "receipt.json")
    message = run(*command, cwd=demo_copy, fails=True).stderr
    assert "Production of churn-model is version 1 now, but version 6 was compared" in message
    assert not (demo_copy / "receipt.json").exists()


def survive_kills(step: str, repository: Path, **environment: str) -> int:
    """Run a release step to its end, killed after each call to the registry; return how many kills there were."""
    folder = "reports/release"
    registered, evaluated = f"{folder}/register_candidate.json", f"{folder}/evaluation.json"
    arguments = {
        "register_candidate": ("--receipt", registered),
        "evaluate_candidate": (
            *("--candidate", registered, "--evaluation", evaluated, "--holdout", "data/training/holdout.parquet"),
        ),
        "promote_model": ("--evaluation", evaluated, "--receipt", f"{folder}/promote_model.json"),
    }
    command = ("python", ROOT / "tests" / "kill_after_each_call.py", f"scripts/{step}.py", *arguments[step])
    return int(run(*command, cwd=repository, **environment).stdout.splitlines()[-1].split()[0])


def test_release_steps_killed_after_each_call_or_run_twice_make_one_version(demo_copy):
    for path in "mlartifacts", "reports/release":
        shutil.rmtree(demo_copy / path)
    (demo_copy / "mlflow.db").unlink()
    assert survive_kills("register_candidate", demo_copy) > 15
    survive_kills("evaluate_candidate", demo_copy)
    assert survive_kills("promote_model", demo_copy) == 3
    client = registry(demo_copy)
    version = client.get_model_version_by_alias("churn-model", "production")
    # Another version in Production: with no gain asked for, the candidate takes its place.
    other = client.create_model_version("churn-model", version.source, run_id=version.run_id).version
    client.set_registered_model_alias("churn-model", "production", other)
    survive_kills("evaluate_candidate", demo_copy, CHURN_PROMOTION_MIN_DELTA="0")
    assert survive_kills("promote_model", demo_copy) == 4
    aliases = client.get_registered_model("churn-model").aliases
    assert {alias: int(number) for alias, number in aliases.items()} == {"production": 1, "previous": int(other)}
    # Run twice: Snakemake has no receipt of what the scripts did.
    go("snakemake", demo_copy)
    evaluation = read(demo_copy, "reports/release/evaluation.json")
    assert evaluation["decision"] == "skip" and "in Production already" in evaluation["reason"]
    versions = client.search_model_versions("name = 'churn-model'")
    assert sorted(int(version.version) for version in versions) == [1, int(other)]
    (experiment,) = [found for found in client.search_experiments() if found.name == "churn_retention"]
    (one_run,) = client.search_runs([experiment.experiment_id])
    assert one_run.info.status == "FINISHED"


def test_a_store_that_does_not_answer_is_named(demo_copy):
    environment = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    command = ("python", "scripts/register_candidate.py", "--receipt", demo_copy / "receipt.json")
    message = run(*command, cwd=demo_copy, fails=True, **environment).stderr
    assert "MLflow at http://127.0.0.1:9" in message and "MLFLOW_TRACKING_URI" in message
    assert not (demo_copy / "receipt.json").exists()


def test_real_payments(cdnow, tmp_path):
    other = shutil.copytree(cdnow, tmp_path / "repository", symlinks=True)
    go("snakemake", cdnow)
    metrics = read(cdnow, "metrics/train_model.json")
    assert 0.64 <= metrics["roc_auc"] <= 0.75, "below: no model; above: a leak"
    assert metrics["baselines"]["recency"] < metrics["baselines"]["rfm_logistic"]
    assert {"mau_mp_1", "age", "saldo_mes_actual"} <= set(metrics["features_left_out"])
    assert "drift_share" not in read(cdnow, "metrics/detect_drift.json"), "one drop has nothing to be compared with"
    # Through the other door as far as the data; that both train the same bytes, the demo shows.
    run("dvc", "repro", "build_training_set", cwd=other)
    expected = {name: stage for name, stage in locked(cdnow).items() if name in locked(other)}
    assert locked(other) == expected and "build_training_set" in expected


def test_the_five_user_sample_says_what_is_too_little(tmp_path):
    repository = copy_repository(tmp_path / "repository")
    run("python", "scripts/ingest_drop.py", shared("data/seed"), cwd=repository)
    answer = run("snakemake", "--cores", "2", cwd=repository, fails=True)
    assert "Drop 2024-06-15 has too little history" in answer.stderr
    assert "cover 55 days, but a lookback of 90 days" in answer.stderr
