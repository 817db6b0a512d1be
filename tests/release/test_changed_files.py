"""A model that was changed in the artifact store is noticed, and no code from there runs."""

import json
import sys

import pyarrow.parquet as pq
import pytest
from conftest import run
from demo_pipeline import read, registry

from churn.release.model_files import COMPILED, EXAMPLES, FILES_TAG, NOT_COMPARED

EVALUATE = (
    *("python", "scripts/evaluate_candidate.py", "--candidate", "reports/release/register_candidate.json"),
    *("--training-set", "metrics/build_training_set.json", "--holdout", "data/training/holdout.parquet"),
    *("--evaluation", "evaluation.json"),
)
# MLflow would run this at once when it loads the model.
PLANTED = "\nfrom pathlib import Path\nPath('planted').touch()\n"


def score(repository, **options):
    """Score the newest drop with Production, as the pipeline does, but into files of its own."""
    drop = max(path.stem for path in (repository / "metrics/build_features").glob("*.json"))
    return run(
        *("python", "scripts/score_users.py", "--features", f"data/features/{drop}/churn_features.parquet"),
        *("--meaning", f"metrics/build_features/{drop}.json", "--drops", "data/drops.yaml"),
        *("--scores", "again/scores.parquet", "--receipt", "again/receipt.json"),
        cwd=repository,
        **options,
    )


@pytest.fixture
def model(demo_copy):
    """The folder of version 1 in the embedded store's artifacts, after the store has moved to this copy."""
    run(sys.executable, "scripts", "doctor", cwd=demo_copy)
    (found,) = (demo_copy / "mlartifacts").rglob("MLmodel")
    return found.parent


def test_a_changed_file_stops_all_that_load_the_model(demo_copy, model):
    (code,) = (path.relative_to(model).as_posix() for path in model.rglob("*.py"))
    # An erasure removes these.
    for name in EXAMPLES:
        (model / name).unlink()
    commands = {
        "score": lambda: score(demo_copy, fails=True).stderr,
        "evaluate": lambda: run(*EVALUATE, cwd=demo_copy, fails=True).stderr,
        "doctor": lambda: run(sys.executable, "scripts", "doctor", cwd=demo_copy, fails=True).stdout,
    }
    # All look in the same way.
    for name, command in (
        (code, "score"),
        ("artifacts/scorer.onnx", "evaluate"),
        ("MLmodel", "doctor"),
        ("added.py", "score"),
    ):
        path = model / name
        content = path.read_bytes() if path.exists() else None
        path.write_bytes(content[:-1] + b"\0" if name.endswith(".onnx") else (content or b"") + PLANTED.encode())
        said = commands[command]()
        assert f"changed in MLflow's artifact store after it was registered: {name}. Nothing of it is used." in said
        assert "rollback" in said
        path.write_bytes(content) if content else path.unlink()
    assert not [*demo_copy.rglob("planted")] and not (demo_copy / "again").exists()
    assert not (demo_copy / "evaluation.json").exists()


def test_a_version_that_mlflow_has_loaded_is_unchanged(demo_copy, model):
    """MLflow imports the model's code from the store's own folder, where Python leaves it compiled."""
    load = "import mlflow; mlflow.pyfunc.load_model('models:/churn-model/1')"
    run(sys.executable, "-c", load, cwd=demo_copy, MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert [*model.rglob(f"{COMPILED}/*.pyc")]
    score(demo_copy)


def test_a_version_of_before_is_used_with_a_warning_and_its_code_does_not_run(demo_copy, model):
    client = registry(demo_copy)
    (before,) = (demo_copy / "data/scores").rglob("scores.parquet")
    names = {path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file()}
    # A test that has loaded the model with MLflow leaves a third file there, and compiled code.
    names = {name for name in names if COMPILED not in name}
    more = names - set(json.loads(client.get_model_version("churn-model", "1").tags[FILES_TAG]))
    assert set(EXAMPLES) <= more <= set(NOT_COMPARED)
    client.delete_model_version_tag("churn-model", "1", FILES_TAG)
    for path in model.rglob("*.py"):
        path.write_text(path.read_text() + PLANTED)
    said = score(demo_copy).stdout
    assert "WARNING: version 1 of churn-model was registered before" in said
    assert pq.read_table(demo_copy / "again/scores.parquet").equals(pq.read_table(before))
    assert read(demo_copy, "again/receipt.json")["model_version"] == "1"
    assert not [*demo_copy.rglob("planted")]
