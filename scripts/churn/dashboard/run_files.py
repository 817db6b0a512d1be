"""Read the files of the last run: metrics, features, scores, drift reports."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import streamlit as st

from churn.base.command import UserError
from churn.base.drops import read_list

FEATURES = "data/features/{drop}/churn_features.parquet"
SCORES = "data/scores/{drop}/scores.parquet"
DRIFT = Path("metrics/detect_drift.json")


def list_drops() -> list[date]:
    """Return the drops in data/drops.yaml, the newest first; the list is empty before the first delivery."""
    _, drops = read_list(Path("data/drops.yaml"))
    return drops[::-1]


def find_newest(pattern: str) -> Path | None:
    """Return the file of the newest drop that has one, or None.

    Parameters
    ----------
    pattern : str
        A path that contains {drop}.
    """
    paths = (Path(pattern.format(drop=drop)) for drop in list_drops())
    return next((path for path in paths if path.exists()), None)


def read_table(path: Path) -> pa.Table:
    """Read a Parquet file, or a folder of them; the result is cached until the file changes.

    Raises
    ------
    UserError
        When the file is damaged.
    """
    return _read_table(path, path.stat().st_mtime_ns)


@st.cache_resource(max_entries=4, show_spinner=False)
def _read_table(path: Path, written: int) -> pa.Table:
    try:
        return pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"Cannot read {path}: {error} Make it again: snakemake --cores all") from None


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, or None when it is missing.

    Raises
    ------
    UserError
        When the file is damaged.
    """
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}). Make it again: snakemake --cores all") from None


def horizon_days() -> int:
    """Return the churn horizon of params.yaml: days without a payment after which a user counts as churned."""
    # Imported here, as the check of the schema takes seconds to import.
    from churn.base.params import read_params

    return int(read_params(Path("params.yaml"))["build_training_set"]["horizon_days"])
