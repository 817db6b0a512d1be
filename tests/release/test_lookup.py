"""What the registry has, looked up without MLflow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from mlflow_server import run_server

from churn.release.lookup import knows_version, read_aliases


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder whose name must be quoted in an address."""
    (tmp_path / "año 100% #1").mkdir()
    monkeypatch.chdir(tmp_path / "año 100% #1")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for version in "1", "3":
        Path(f"{version}.json").write_text(json.dumps({"version": version}))
    return Path.cwd()


def fill(uri: str) -> None:
    """Register two versions of the model, of which version 2 has two aliases, and one of another model."""
    from mlflow import MlflowClient

    client = MlflowClient(uri, uri)
    for name in "churn-model", "other", "without-aliases":
        client.create_registered_model(name)
        for _ in range(2):
            client.create_model_version(name, "s3://bucket/model")
    for alias in "production", "second":
        client.set_registered_model_alias("churn-model", alias, "2")
    client.set_registered_model_alias("other", "production", "1")


def check_lookups(folder: Path) -> None:
    """Compare the lookups with what `fill` registered."""
    assert read_aliases() == {"production": "2", "second": "2"}
    assert knows_version(Path("1.json")) and not knows_version(Path("3.json"))
    for name in "without-aliases", "no-such-model":
        text = (ROOT / "params.yaml").read_text().replace("model: churn-model ", f"model: {name}")
        (folder / "params.yaml").write_text(text)
        assert read_aliases() == {}
    (folder / "params.yaml").unlink()


def test_an_embedded_store_is_looked_up(folder):
    assert read_aliases() == {} and not knows_version(Path("1.json"))
    Path("mlflow.db").touch()
    assert read_aliases() == {} and not knows_version(Path("1.json")), "an empty file is a new store"
    # MLflow keeps its stores by address, for all tests of a process.
    fill(f"sqlite:///{folder}/mlflow.db")
    check_lookups(folder)
    Path("mlflow.db").write_bytes(b"not a database" * 1000)
    assert read_aliases() is None and knows_version(Path("1.json"))


def test_a_server_is_looked_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for version in "1", "3":
        Path(f"{version}.json").write_text(json.dumps({"version": version}))
    with run_server(tmp_path / "server.db") as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{address}/")
        assert read_aliases() == {} and not knows_version(Path("1.json"))
        fill(address)
        check_lookups(tmp_path)
        # Another server's 404 says nothing about the model.
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{address}/elsewhere")
        assert read_aliases() is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert read_aliases() is None and knows_version(Path("1.json"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://127.0.0.1/store")
    assert read_aliases() is None


def test_a_lookup_does_not_import_mlflow(folder):
    code = "import sys; import churn.release.lookup as l; l.read_aliases(); sys.exit('mlflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")})
