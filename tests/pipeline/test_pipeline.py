"""The whole small pipeline, really run, through both doors: on demo drops and on real payments."""

import json
import shutil

import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import copy_repository, run, shared
from demo_pipeline import go, locked, read, registry

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


@pytest.fixture(scope="module")
def cdnow(tmp_path_factory):
    """A repository with one ingested drop of real payments, not run yet."""
    log, tool = shared("data/cdnow/CDNOW_master.txt"), shared("tools/make_drops.py")
    folder = tmp_path_factory.mktemp("cdnow")
    run("python", tool, log, folder / "inbox", "--drop", "1998-06-30", cwd=folder)
    repository = copy_repository(folder / "repository")
    run("python", "scripts", "ingest", folder / "inbox" / "1998-06-30", cwd=repository)
    return repository


def test_both_doors_write_the_same_bytes(demo, demo_repository, tmp_path):
    other = shutil.copytree(demo_repository, tmp_path / "repository", symlinks=True)
    go("dvc", other)
    assert locked(other) == locked(demo)
    metrics = [path for path in (demo / "metrics").rglob("*") if path.is_file()]
    assert len(metrics) == 11
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
    assert version.description == (demo / "reports/model_card.md").read_text()
    segments = version.description.partition("## Segments")[2].partition("## Strongest features")[0]
    assert "| gender: female |" in segments and "| age: 45 to 59 |" in segments
    assert "by chance." in segments or "by more than chance:" in segments
    assert "model_card.md" in {file.path for file in client.list_artifacts(version.run_id)}
    children = client.search_runs(
        [run_of_it.info.experiment_id],
        f"tags.mlflow.parentRunId = '{version.run_id}'",
        order_by=["metrics.cv_score DESC"],
    )
    grid = read(demo, "plots/train_model/grid.json")
    assert len(children) == len(grid) > 1
    assert children[0].data.metrics["cv_score"] == max(point["cv_score"] for point in grid)
    commit = tags["git_commit"][:7]
    assert run_of_it.info.run_name == f"candidate {commit}"
    points = {f"{commit} elasticNetParam {point['elasticNetParam']}, regParam {point['regParam']}" for point in grid}
    assert {child.info.run_name for child in children} == points
    dataset = pq.read_table(client.download_artifacts(version.run_id, "dataset/churn_features.parquet"))
    assert {"user_id", "as_of_date", "label", "split"} <= set(dataset.column_names)
    assert len(dataset) == metrics["train_rows"] + metrics["holdout_rows"]


def test_an_edited_file_of_a_drop_reruns_what_reads_it_and_nothing_else(demo_copy):
    drop = yaml.safe_load((demo_copy / "data/drops.yaml").read_text())["drops"][-1]
    payments = demo_copy / f"data/raw/{drop}/PAYMENTS.csv"
    header, first, *rest = payments.read_bytes().splitlines(keepends=True)
    payments.write_bytes(b"".join([header, first, first, *rest]))
    run("snakemake", "--cores", "2", f"data/features/{drop}/churn_features.parquet", cwd=demo_copy)
    ran = {
        stage: f"Running stage '{stage}@{drop}'" in (demo_copy / f"logs/{stage}/{drop}.log").read_text()
        for stage in ("clean_payments", "build_user_base", "build_features")
    }
    assert ran == {"clean_payments": True, "build_user_base": False, "build_features": True}


def test_production_scores_without_a_jvm(demo):
    tools = demo.parent / "tools"
    tools.mkdir(exist_ok=True)
    answer = run("python", "-c", SCORE_WITHOUT_JAVA, cwd=demo, JAVA_HOME=str(tools))
    found = json.loads(answer.stdout.splitlines()[-1])
    assert 0 <= found["least"] < found["most"] <= 1
    scores = pq.read_table(next((demo / "data/scores").glob("*/scores.parquet")))
    reasons = [f"{kind}_{number}" for number in (1, 2, 3) for kind in ("reason", "push")]
    columns = ["user_id", "as_of_date", "churn_probability", "decile", *reasons, "model_version"]
    assert scores.column_names == columns
    assert set(scores["decile"].to_pylist()) == set(range(1, 11))
    features = read(demo, "metrics/train_model.json")["features"]
    for user in scores.to_pylist():
        assert len({user["reason_1"], user["reason_2"], user["reason_3"]} & set(features)) == 3
        assert abs(user["push_1"]) >= abs(user["push_2"]) >= abs(user["push_3"])
    people = csv.read_csv(next((demo / "data/scores").glob("*/scores.csv")))
    assert people.column_names == columns and len(people) == len(scores)
    assert people["churn_probability"].to_pylist() == sorted(people["churn_probability"].to_pylist(), reverse=True)


def test_the_drift_report_is_published_once(demo):
    receipt = read(demo, "reports/release/publish_drift_report.json")
    published = demo / "drift-reports" / f"{receipt['drop']}.html"
    assert published.read_bytes() == next((demo / "reports/drift").glob("*.html")).read_bytes()


def test_the_summary_tells_decision_metrics_and_drift(demo):
    text = run("python", "scripts", "summary", cwd=demo).stdout
    assert text.startswith("Decision    promote.")
    for word in ("Candidate", "Production", "Drift", "Look next", "ROC AUC", "rfm_logistic"):
        assert word in text


@pytest.mark.slow
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
    ingest = ("python", "scripts", "ingest", shared("data/seed"))
    assert "too little history" in run(*ingest, cwd=repository, fails=True).stderr
    params = repository / "params.yaml"
    params.write_text(params.read_text().replace("doubtful_deliveries: refuse", "doubtful_deliveries: warn"))
    run(*ingest, cwd=repository)
    answer = run("snakemake", "--cores", "2", cwd=repository, fails=True)
    assert "Drop 2024-06-15 has too little history" in answer.stderr
    assert "cover 55 days, but a lookback of 90 days" in answer.stderr
