"""A registered version can be made again from its commit; if it cannot, the message says why."""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, call_script, run, run_script

from churn.release.flatten import flatten
from churn.release.names import model_name
from churn.release.provenance import collect_tags, output_digest
from churn.release.registry import DIGEST_TAG, open_registry

DROP = "2026-01-05"
DVC_YAML = f"""
stages:
  train_model:
    cmd: python train_model.py
    deps: [data/raw/{DROP}/PAYMENTS.csv, train_model.py]
    outs: [models/candidate]
    metrics: [metrics/train_model.json: {{cache: false}}]
"""
TRAIN_MODEL = """
import json, os
from pathlib import Path
rows = Path("data/raw/2026-01-05/PAYMENTS.csv").read_text().splitlines()
for folder in "models/candidate", "metrics":
    os.makedirs(folder, exist_ok=True)
Path("models/candidate/model.txt").write_text(os.environ.get("BYTES", "the same"))
auc = float(os.environ.get("AUC", len(rows) / 7))
Path("metrics/train_model.json").write_text(json.dumps({"roc_auc": auc, "baselines": {"recency": 0.7}, "left_out": []}))
"""


def commit(message: str) -> None:
    run("git", "add", "--all", cwd=Path.cwd())
    run("git", "commit", "--quiet", "--message", message, cwd=Path.cwd())


def dvc(*arguments: str) -> None:
    run(sys.executable, "-m", "dvc", *arguments, cwd=Path.cwd())


def register() -> None:
    """Register the repository's candidate, as register_candidate does, without a model's files."""
    digest = output_digest("models/candidate")
    with open_registry() as client:
        made = client.create_run(experiment(client), tags=collect_tags() | {DIGEST_TAG: digest})
        for name, value in flatten(json.loads(Path("metrics/train_model.json").read_text())).items():
            if isinstance(value, int | float):
                client.log_metric(made.info.run_id, name, value)
        client.create_model_version(model_name(), f"{made.info.artifact_uri}/model", made.info.run_id)


def experiment(client) -> str:
    found = client.get_experiment_by_name("churn_retention")
    if found is None:
        client.create_registered_model(model_name())
        return client.create_experiment("churn_retention")
    return found.experiment_id


def retag(name: str, value: str) -> None:
    """Change a tag of version 1's run."""
    with open_registry() as client:
        client.set_tag(client.get_model_version(model_name(), "1").run_id, name, value)


def reproduce(*arguments: str, fails: bool = False, **environment: str) -> str:
    store = {"MLFLOW_TRACKING_URI": os.environ["MLFLOW_TRACKING_URI"]}
    answer = call_script("reproduce", *arguments, fails=fails, cwd=Path.cwd(), **store, **environment)
    return answer.stdout + answer.stderr


def reproduce_in_a_process(*arguments: str, **environment: str) -> str:
    """As a user does, with warnings as errors, and temporary files where TMPDIR says."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setitem(ENVIRONMENT, name, value)
        answer = run_script("reproduce", *arguments, cwd=Path.cwd())
    return answer.stdout + answer.stderr


@pytest.fixture(scope="module")
def registered(tmp_path_factory) -> Path:
    """A repository of one fast stage that has run, is committed, and is registered as version 1."""
    return make_registered(tmp_path_factory.mktemp("registered") / "repository")


def make_registered(repository: Path, project: str = ".") -> Path:
    """Make the repository with its project in a folder, run and register it, and return that folder."""
    root = repository / project
    (root / "data" / "raw" / DROP).mkdir(parents=True)
    with contextlib.chdir(root), pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/mlflow.db")
        for name, text in {
            "dvc.yaml": DVC_YAML,
            "train_model.py": TRAIN_MODEL,
            "requirements.lock": "mlflow==1\n",
            ".gitignore": "/mlflow.db\n/logs/\n/data/raw/????-??-??/\n/models/\n",
            "data/drops.yaml": f'source: own\ndrops:\n  - "{DROP}"\n',
            f"data/raw/{DROP}/PAYMENTS.csv": "FECHA\n1\n2\n3\n4\n",
        }.items():
            Path(name).write_text(text)
        run("git", "init", "--quiet", cwd=repository)
        dvc("init", "--quiet", *(["--subdir"] if project != "." else []))
        dvc("add", "--quiet", f"data/raw/{DROP}")
        dvc("repro", "--quiet")
        commit("Everything has run")
        register()
    return root


@pytest.fixture(autouse=True)
def repository(registered, tmp_path, monkeypatch) -> Path:
    """A copy of it, in which the test runs."""
    copy = shutil.copytree(registered, tmp_path / "repository", symlinks=True)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{copy}/mlflow.db")
    return copy


def files_of(folder: Path) -> dict[str, tuple]:
    """Return the metadata by which a changed file is recognised, by path."""
    found = {path: path.stat() for path in folder.rglob("*")}
    return {str(path): (stat.st_ino, stat.st_nlink, stat.st_mode, stat.st_mtime_ns) for path, stat in found.items()}


def test_the_same_bytes_and_nothing_here_is_touched(repository, tmp_path):
    before = {**files_of(repository / ".dvc" / "cache"), **files_of(repository / "models")}
    (tmp_path / "temporary").mkdir()
    *_, header, recency, auc, model, verdict = reproduce_in_a_process(
        "1", TMPDIR=str(tmp_path / "temporary")
    ).splitlines()
    assert header.split() == ["metric", "registered", "reproduced"]
    assert recency.split() == ["baselines.recency", "0.7", "0.7"]
    assert auc.split() == ["roc_auc", "0.714286", "0.714286"]
    assert model.startswith("models/candidate") and verdict == "reproduced: the same bytes"
    assert {**files_of(repository / ".dvc" / "cache"), **files_of(repository / "models")} == before
    assert run("git", "status", "--porcelain", cwd=repository).stdout == ""
    assert not list((tmp_path / "temporary").glob("reproduce-*"))


def test_different_bytes_with_the_same_metrics_are_reported():
    assert reproduce("1", BYTES="other").splitlines()[-1] == "reproduced: the same metrics, different bytes"


def test_another_metric_is_a_failure_and_what_may_explain_it_is_noted(tmp_path):
    retag("git_dirty", "true")
    Path("requirements.lock").write_text("mlflow==2\n")
    printed = reproduce("1", "--keep", str(tmp_path / "kept"), fails=True, AUC="0.5").splitlines()
    assert printed[-1] == "NOT reproduced: roc_auc 0.714286 became 0.5"
    assert sum(line.startswith("Note: ") for line in printed) == 2
    assert json.loads((tmp_path / "kept/metrics/train_model.json").read_text())["roc_auc"] == 0.5
    assert "exists already" in reproduce("1", "--keep", str(tmp_path / "kept"), fails=True)


def test_an_older_version_is_made_of_its_own_data_and_code():
    Path(f"data/raw/{DROP}/PAYMENTS.csv").write_text("FECHA\n1\n2\n")
    Path("train_model.py").write_text(TRAIN_MODEL + "print('newer')\n")
    dvc("repro", "--quiet")
    dvc("add", "--quiet", f"data/raw/{DROP}")
    commit("Newer data and code")
    assert reproduce("1").splitlines()[-1] == "reproduced: the same bytes"


@pytest.mark.slow
def test_data_that_the_cache_lost_comes_from_the_remote(repository, tmp_path):
    # Beside .dvc/config, which git has, and relative: the clone elsewhere must find it all the same.
    dvc("remote", "add", "--local", "--default", "store", os.path.relpath(tmp_path / "store"))
    dvc("push", "--quiet")
    shutil.rmtree(".dvc/cache")
    assert reproduce("1").splitlines()[-1] == "reproduced: the same bytes"
    shutil.rmtree(tmp_path / "store")
    message = reproduce("1", fails=True)
    assert f"neither in DVC's cache here nor on a remote (store): data/raw/{DROP}/PAYMENTS.csv" in message


def test_a_project_in_a_subfolder_of_a_repository_is_reproduced(tmp_path, monkeypatch):
    root = make_registered(tmp_path / "monorepo", "teams/churn")
    monkeypatch.chdir(root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/mlflow.db")
    (tmp_path / "monorepo" / "elsewhere.txt").write_text("not part of the project")
    assert collect_tags()["git_dirty"] == "false"
    assert reproduce("1", "--keep", str(tmp_path / "kept")).splitlines()[-1] == "reproduced: the same bytes"
    assert (tmp_path / "kept/teams/churn/metrics/train_model.json").exists()
    # A commit in which the project was not there yet.
    run("git", "mv", "-k", "train_model.py", "moved.py", cwd=root)
    Path("train_model.py").write_text("")
    assert collect_tags()["git_dirty"] == "true"
    empty = run("git", "commit-tree", "-m", "Nothing", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", cwd=root).stdout
    retag("git_commit", empty.strip())
    assert "has no project in teams/churn/: dvc.yaml is missing there" in reproduce("1", fails=True)


def test_what_is_not_there_is_named():
    assert "churn-model has no version '7'; it has 1." in reproduce("7", fails=True)
    shutil.rmtree(".dvc/cache")
    assert "on a remote (there is none: dvc remote list)" in reproduce("1", fails=True)
    retag("git_commit", "0123456789" * 4)
    assert "This clone does not have commit 0123456789" in reproduce("1", fails=True)
    retag("git_commit", "none")
    assert "does not name the commit that it was made from" in reproduce("1", fails=True)


def test_data_that_was_never_committed_is_named():
    retag(f"raw/{DROP}/PAYMENTS.csv", "0" * 32)
    message = reproduce("1", fails=True)
    assert f"raw files that its commit {collect_tags()['git_commit'][:7]} does not have" in message
    assert f"data/raw/{DROP}/PAYMENTS.csv. That data was never committed" in message


@pytest.mark.slow
def test_data_that_was_damaged_in_the_cache_is_named_and_the_remote_has_it(tmp_path):
    dvc("remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
    dvc("push", "--quiet")
    md5 = collect_tags()[f"raw/{DROP}/PAYMENTS.csv"]
    cached = Path(".dvc/cache/files/md5", md5[:2], md5[2:])
    cached.chmod(0o644)
    cached.write_text("FECHA\n9\n")
    message = reproduce("1", fails=True)
    assert f"data/raw/{DROP}/PAYMENTS.csv (files/md5/{md5[:2]}/{md5[2:]}) is damaged" in message
    cached.unlink()
    assert reproduce("1").splitlines()[-1] == "reproduced: the same bytes"


def test_a_stage_that_fails_names_the_log():
    message = reproduce("1", fails=True, AUC="none")
    assert "does not run here: ERROR: failed to reproduce 'train_model'" in message
    log = Path("logs/reproduce/version_1.log")
    assert str(log) in message and "could not convert string to float: 'none'" in log.read_text()
