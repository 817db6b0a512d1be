"""Two pipelines on one server do not see each other, and nothing that they load is left behind."""

import json
import shutil

from conftest import run
from mlflow_server import run_server

from churn.dashboard.record import read_record
from churn.release.lookup import knows_version, read_aliases

NAMES = {"here": ("churn-model", "churn_retention"), "there": ("churn-there", "retention_there")}


def test_two_names_share_a_server_and_loading_leaves_no_files(demo, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    folders = {}
    for country, (model, experiment) in NAMES.items():
        folders[country] = shutil.copytree(demo, tmp_path / country, symlinks=True)
        params = folders[country] / "params.yaml"
        text = params.read_text().replace("model: churn-model ", f"model: {model} ")
        params.write_text(text.replace("experiment: churn_retention ", f"experiment: {experiment} "))
    monkeypatch.chdir(tmp_path)
    with run_server(tmp_path / "server.db") as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        server = {"MLFLOW_TRACKING_URI": address, "TMPDIR": str(tmp_path / "empty")}

        def step(country, *command, fails=False):
            return run("python", *command, cwd=folders[country], fails=fails, **server)

        step("here", "scripts", "migrate_store")
        monkeypatch.chdir(folders["there"])
        record = read_record()
        assert (record.problem, record.versions, record.entries, read_aliases()) == (None, [], [], {})
        receipt = tmp_path / "receipt.json"
        receipt.write_text(json.dumps({"version": "1"}))
        assert not knows_version(receipt)
        assert "no version of churn-there has been promoted" in step("there", "scripts", "ledger").stdout
        assert "churn-there has no version '1'" in step("there", "scripts", "reproduce", "1", fails=True).stderr
        # The same candidate: each pipeline has its own version and run of it.
        step("there", "scripts/register_candidate.py", "--receipt", "receipt.json")
        assert knows_version(receipt) and read_aliases() == {}
        (version,) = read_record().versions
        monkeypatch.chdir(folders["here"])
        (other,) = read_record().versions
        assert read_aliases() == {"production": "1"} and version.run_id != other.run_id
        assert version.tags["identity"] == other.tags["identity"]
        copied = step("here", "scripts", "migrate_store").stdout
        assert "Copied: nothing" in copied
        # Production is loaded from the server.
        receipt.write_text(json.dumps({"version": "1"}))
        evaluate = (
            *("--evaluation", "evaluation.json", "--holdout", "data/training/holdout.parquet"),
            *("--training-set", "metrics/build_training_set.json"),
        )
        step("here", "scripts/evaluate_candidate.py", "--candidate", str(receipt), *evaluate)
        drop = next(path for path in sorted((folders["here"] / "data/features").iterdir(), reverse=True))
        features = (
            *("--features", str(drop / "churn_features.parquet"), "--drops", "data/drops.yaml"),
            *("--meaning", f"metrics/build_features/{drop.name}.json", "--receipt", "scores.json"),
        )
        step("here", "scripts/score_users.py", *features, "--scores", "scores.parquet")
        assert (
            "version 1 of churn-model can be loaded"
            in run("python", "scripts", "doctor", cwd=folders["here"], **server).stdout
        )
        # onnxruntime keeps one small file there, which does not grow.
        assert {path.name for path in (tmp_path / "empty").iterdir()} <= {".ses"}
