"""Weeks of features for the tests of drift."""

import json
import warnings
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from candidates import make_rows
from conftest import ROOT

from churn.base.drops import START, read_drops, write_list
from churn.base.params import read_section

with warnings.catch_warnings():
    # Evidently's own modules use parts of Litestar and Pydantic that these deprecate: they are imported once, here.
    warnings.simplefilter("ignore", DeprecationWarning)
    import evidently.presets  # noqa: F401

from measure_drift import measure_drift

PARAMS = read_section(ROOT / "params.yaml", "measure_drift") | read_section(ROOT / "params.yaml", "detect_drift")
FIRST, USERS = date(2024, 1, 7), 1200
AS_OF = {"2024-01-07": (300, 1000), "2024-01-14": (310, 1000), "2024-02-18": (305, 1000)}


def week(number: int, users: int = USERS, **planted: np.ndarray) -> pa.Table:
    """One week's features: noise differs by week, and `planted` columns replace the others."""
    rows = make_rows(users, seed=100 + number).drop_columns(["label"])
    for name, values in planted.items():
        place = rows.column_names.index(name)
        rows = rows.set_column(place, name, pa.array(values, from_pandas=True, type=rows[name].type))
    day = pa.array([FIRST + timedelta(weeks=number)] * users)
    return rows.set_column(1, "as_of_date", day)


def older(number: int = 99, users: int = USERS) -> np.ndarray:
    """Ages, all of them known, ten years above those of `week`."""
    return np.random.default_rng(number).integers(28, 90, users).astype(float)


def write_drops(folder: Path, weeks: list[pa.Table], rates: dict | None = None) -> Path:
    for table in weeks:
        target = folder / "features" / str(table["as_of_date"][0])
        target.mkdir(parents=True)
        pq.write_table(table, target / "churn_features.parquet")
    write_list(folder / "drops.yaml", "own", [table["as_of_date"][0].as_py() for table in weeks])
    as_of_dates = {
        day: {"churned": churned, "rows": rows, "churn_rate": churned / rows}
        for day, (churned, rows) in (rates or AS_OF).items()
    }
    *training, holdout = sorted(as_of_dates)
    content = {"as_of_dates": as_of_dates, "training_dates": training, "holdout_date": holdout}
    (folder / "training_set.json").write_text(json.dumps(content))
    return folder


def measure_drops(folder: Path, **changed) -> None:
    """Measure the drift of each listed drop in turn."""
    before, params = START, PARAMS | changed
    for drop in read_drops(folder / "drops.yaml"):
        features = folder / "features" / str(drop) / "churn_features.parquet"
        samples = folder / "drift" / before, folder / "drift" / str(drop)
        measure_drift(features, drop, *samples, folder / "measures" / f"{drop}.json", params)
        before = str(drop)
