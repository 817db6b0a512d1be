"""The newest scores of all users: those from score_users, or from the local heuristic."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import streamlit as st

from churn.dashboard.heuristic import FEATURE, NAME, churn_by_silence
from churn.dashboard.run_files import FEATURES, SCORES, find_newest, horizon_days, read_table
from churn.scoring.deciles import deciles


@dataclass(frozen=True)
class Scored:
    """Scores of users.

    Attributes
    ----------
    table : pyarrow.Table
        The columns of scores.parquet, with the users most likely to churn first.
    path : Path
        The file that they come from.
    by : str
        The number of the version that made them, or the name of the local heuristic.
    """

    table: pa.Table
    path: Path
    by: str


def read_scores() -> Scored | None:
    """Return the newest scores from score_users, or None before the first run."""
    path = find_newest(SCORES)
    if path is None:
        return None
    table = _sort(path, path.stat().st_mtime_ns)
    return Scored(table, path, str(table["model_version"][0]) if len(table) else "")


def score_by_heuristic() -> Scored | None:
    """Score the users of the newest drop with the local heuristic; return None when there are no features."""
    path = find_newest(FEATURES)
    if path is None:
        return None
    return Scored(_score(path, path.stat().st_mtime_ns, horizon_days()), path, NAME)


@st.cache_resource(max_entries=2, show_spinner=False)
def _sort(path: Path, written: int) -> pa.Table:
    return read_table(path).sort_by([("churn_probability", "descending"), ("user_id", "ascending")])


@st.cache_resource(max_entries=2, show_spinner=False)
def _score(path: Path, written: int, horizon: int) -> pa.Table:
    features = read_table(path)
    silence = features[FEATURE].cast(pa.float64()).to_numpy()
    probability = churn_by_silence(silence, horizon)
    known = np.isfinite(probability)
    features, probability = features.filter(pa.array(known)), probability[known]
    table = features.select(["user_id", "as_of_date"])
    columns = {
        "churn_probability": probability,
        "decile": deciles(probability),
        FEATURE: features[FEATURE],
        "model_version": [NAME] * len(features),
    }
    for name, values in columns.items():
        table = table.append_column(name, values if isinstance(values, pa.ChunkedArray) else pa.array(values))
    return table.sort_by([("churn_probability", "descending"), ("user_id", "ascending")])
