"""The whole small pipeline on demo drops: how tests run it, and look into what it made."""

import json
from pathlib import Path

import yaml
from conftest import run


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
    """Return the stages of dvc.lock; `dvc repro` and Snakemake order them differently."""
    return yaml.safe_load((repository / "dvc.lock").read_text())["stages"]


def registry(repository: Path):
    """Return a client of the repository's embedded store."""
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{repository}/mlflow.db")
