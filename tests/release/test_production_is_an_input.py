"""What happens in the registry, or to what was published, makes the next run do its part again, and nothing else."""

import hashlib
import json

import pytest
import yaml
from conftest import run
from demo_pipeline import go, read, registry
from two_models import newest_drop

DEAD = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


@pytest.fixture
def two_versions(demo_copy):
    """The demo, whose version 1 is also version 2."""
    client = registry(demo_copy)
    first = client.get_model_version("churn-model", "1")
    client.create_model_version("churn-model", first.source, first.run_id, tags={"meaning": first.tags["meaning"]})
    return demo_copy, client


def scored_by(repository) -> str:
    return read(repository, f"reports/release/score_users/{newest_drop(repository)}.json")["model_version"]


@pytest.mark.slow
def test_an_alias_moved_by_hand_and_a_rollback_are_followed(two_versions):
    repository, client = two_versions
    client.set_registered_model_alias("churn-model", "production", "2")
    client.set_registered_model_alias("churn-model", "previous", "1")
    summary = run("python", "scripts", "summary", cwd=repository).stdout
    assert "version 2 now; it has changed since the run: make run" in summary
    printed = go("snakemake", repository)
    ran = {name for name in ("evaluate_candidate", "promote_model", "score_users", "train_model") if name in printed}
    assert ran == {"evaluate_candidate", "promote_model", "score_users"}
    assert "register_candidate " not in printed
    assert scored_by(repository) == "2" and read(repository, "reports/release/evaluation.json")["gain"] == 0
    run("python", "scripts", "rollback", "--why", "calls went up", cwd=repository)
    go("snakemake", repository)
    assert scored_by(repository) == "1"
    summary = run("python", "scripts", "summary", cwd=repository).stdout
    assert "Version 1 is already in Production" in summary and "version 1 now; promotions are held" in summary


def test_a_report_that_was_deleted_is_published_again(demo_copy):
    published = demo_copy / read(demo_copy, "reports/release/publish_drift_report.json")["uri"]
    content = published.read_bytes()
    published.unlink()
    printed = go("snakemake", demo_copy)
    assert published.read_bytes() == content
    assert "publish_drift_report" in printed and "detect_drift " not in printed and "score_users" not in printed


def test_scores_that_were_deleted_are_written_again(demo_copy):
    (scores,) = (demo_copy / "data/scores").glob("*/scores.csv")
    content = scores.read_bytes()
    scores.unlink()
    assert "score_users" in go("snakemake", demo_copy)
    assert scores.read_bytes() == content


def test_an_outage_loses_nothing(demo_copy):
    release = sorted(path for path in (demo_copy / "reports/release").rglob("*.json"))
    outputs = [*release, *(demo_copy / "data/scores").rglob("scores.*")]
    assert len(outputs) == 7
    before = {path: path.read_bytes() for path in outputs}
    # Another address makes every release step stale, and the first fails; then each of the later ones alone.
    printed = run("snakemake", "--cores", "2", cwd=demo_copy, fails=True, **DEAD).stderr
    assert "MLflow at http://127.0.0.1:9" in printed
    score = ("snakemake", "--cores", "2", f"reports/release/score_users/{newest_drop(demo_copy)}.json")
    run(*score, "--config", f"drop={newest_drop(demo_copy)}", cwd=demo_copy, fails=True, **DEAD)
    assert {path: path.read_bytes() for path in outputs} == before
    go("snakemake", demo_copy)


@pytest.mark.slow
def test_an_older_drop_is_scored_by_any_version_with_the_same_bytes_each_time(two_versions):
    repository, _ = two_versions
    drop = yaml.safe_load((repository / "data/drops.yaml").read_text())["drops"][0]
    digests = []
    for version in "", "2", "":
        command = ("python", "scripts", "score", drop, *(("--version", version) if version else ()), "--cores", "2")
        printed = run(*command, cwd=repository).stdout
        assert f"scored with version {version or 1}:" in printed
        receipt = read(repository, f"reports/release/score_users/{drop}.json")
        assert receipt["drop"] == drop and receipt["model_version"] == (version or "1")
        files = {path: hashlib.sha256((repository / path).read_bytes()).hexdigest() for path in receipt["files"]}
        assert files == receipt["files"]
        digests.append(json.dumps(files))
    assert digests[0] == digests[2] != digests[1]
    assert "Nothing to be done" in run("snakemake", "-n", cwd=repository).stdout, "the newest drop's scores still count"
    message = run("python", "scripts", "score", "2031-01-01", cwd=repository, fails=True).stderr
    assert "data/drops.yaml does not list 2031-01-01" in message
    message = run("python", "scripts", "score", drop, "--version", "9", cwd=repository, fails=True).stderr
    assert "churn-model has no version '9'. Its versions: 1, 2." in message
