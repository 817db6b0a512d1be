"""What a version stores: its metrics once, the drift of each drop as a series, and real files; what makes it new."""

import json
import shutil
from pathlib import Path

from conftest import run
from demo_pipeline import read, registry

COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def register(repository: Path) -> dict:
    """Register with the repository's own code, and return the receipt."""
    run("python", "scripts/register_candidate.py", "--receipt", "receipt.json", cwd=repository)
    return read(repository, "receipt.json")


def change(path: Path, **values: object) -> None:
    """Change values of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def history(repository: Path, run_id: str, name: str) -> list[tuple[int, float]]:
    """Return the values of a metric with their steps, in the order of their times."""
    points = registry(repository).get_metric_history(run_id, name)
    return [(point.step, point.value) for point in sorted(points, key=lambda point: (point.step, point.timestamp))]


def test_a_changed_threshold_or_scorer_code_is_another_version_whose_counts_add_up(demo_copy):
    before, client = read(demo_copy, "reports/release/register_candidate.json"), registry(demo_copy)
    assert register(demo_copy) == before
    assert set(client.get_model_version("churn-model", "1").tags) >= {"candidate_digest", "identity", "meaning"}
    path = demo_copy / "metrics/train_model.json"
    trained = json.loads(path.read_text())
    users = sum(trained[name] for name in COUNTS)
    # Two counts go up and two go down.
    change(path, threshold=0.3, true_positives=trained["true_positives"] + 5, false_positives=1, false_negatives=0)
    change(path, true_negatives=users - trained["true_positives"] - 6)
    second = register(demo_copy)
    assert second["version"] == "2" and second["digest"] == before["digest"] and second["run_id"] != before["run_id"]
    for receipt in before, second:
        metrics = client.get_run(receipt["run_id"]).data.metrics
        assert sum(metrics[name] for name in COUNTS) == users
    with (demo_copy / "scripts/churn/release/mlflow_model.py").open("a") as code:
        code.write("# fixed\n")
    third = register(demo_copy)
    assert third["version"] == "3" and register(demo_copy) == third
    model = Path(client.get_model_version("churn-model", "3").source.removeprefix("file://"))
    assert any("# fixed" in path.read_text() for path in model.glob("*.py"))


def test_a_version_of_before_identities_is_the_same_until_something_changes(demo_copy):
    client, before = registry(demo_copy), read(demo_copy, "reports/release/register_candidate.json")
    client.delete_model_version_tag("churn-model", "1", "identity")
    assert register(demo_copy) == before
    assert client.get_model_version("churn-model", "1").tags["identity"] == before["identity"]
    change(demo_copy / "metrics/train_model.json", threshold=0.3)
    assert register(demo_copy)["version"] == "2"


def test_the_drift_of_each_drop_is_a_step_and_the_newest_value_is_shown(demo_copy):
    path, client = demo_copy / "metrics/detect_drift.json", registry(demo_copy)
    run_id = read(demo_copy, "reports/release/register_candidate.json")["run_id"]
    ((first, value),) = history(demo_copy, run_id, "recent_drift_share")
    change(path, drift_share=0.9)
    register(demo_copy)
    # Smaller than before, and still the one that is shown.
    change(path, drift_share=0.2)
    register(demo_copy)
    register(demo_copy)
    change(path, current_drop="2030-01-06", drift_share=0.1)
    register(demo_copy)
    days = 21_920
    assert history(demo_copy, run_id, "recent_drift_share") == [(first, value), (first, 0.9), (first, 0.2), (days, 0.1)]
    assert client.get_run(run_id).data.metrics["recent_drift_share"] == 0.1
    (newest,) = [one for one in client.get_metric_history(run_id, "recent_alarms") if one.step == days]
    assert newest.timestamp == days * 86_400_000
    change(path, current_drop="2030-01-06", drift_share=0.05)
    register(demo_copy)
    assert client.get_run(run_id).data.metrics["recent_drift_share"] == 0.05


def test_outputs_that_are_links_to_a_shared_cache_are_stored_as_files(demo_copy, tmp_path):
    run("dvc", "config", "cache.type", "symlink", cwd=demo_copy)
    outputs = ("models/candidate", "plots/train_model", "reports/explainability", "reports/model_card.md")
    for output in outputs:
        path = demo_copy / output
        path.unlink() if path.is_file() else shutil.rmtree(path)
    run("dvc", "checkout", "--force", "--quiet", *outputs, cwd=demo_copy)
    assert (demo_copy / "models/candidate/scorer.onnx").is_symlink() and (demo_copy / outputs[-1]).is_symlink()
    (demo_copy / "mlflow.db").unlink()
    shutil.rmtree(demo_copy / "mlartifacts")
    register(demo_copy)
    files = [path for path in (demo_copy / "mlartifacts").rglob("*") if not path.is_dir() or path.is_symlink()]
    assert not [path for path in files if path.is_symlink()]
    names = {path.name for path in files}
    assert {"scorer.onnx", "model_card.md", "grid.json", "mean_abs_shap.json", "part-00000.txt"} <= names
    # The cache's files are read-only, but a killed registration must be able to write its files again.
    assert all(path.stat().st_mode & 0o200 for path in files)
