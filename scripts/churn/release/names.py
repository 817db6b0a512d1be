"""The names of the registered model, its ledger and its experiment, from params.yaml.

Two pipelines with different names can share a server: two countries, or staging and production.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from churn.base.params import read_section

DEFAULTS = {"model": "churn-model", "experiment": "churn_retention", "branch": "auto"}


def model_name() -> str:
    """Return the name of the registered model."""
    return str(release_params()["model"])


def ledger_name() -> str:
    """Return the name of the registered model whose versions are the entries of the ledger."""
    return f"{model_name()}-ledger"


def experiment_name() -> str:
    """Return the name of the experiment."""
    return str(release_params()["experiment"])


def release_params() -> dict[str, Any]:
    """Return section `release` of params.yaml of the current folder; the defaults where there is no such file."""
    path = Path("params.yaml").absolute()
    return _read(path, path.stat().st_mtime_ns) if path.exists() else DEFAULTS


@lru_cache(maxsize=1)
def _read(path: Path, _changed: int) -> dict[str, Any]:
    return read_section(path, "release")
