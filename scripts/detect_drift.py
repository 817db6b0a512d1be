"""Compare each drop's features with those of the drops before it, and write a report on the newest.

Reads
    data/drops.yaml, data/features/<drop>/churn_features.parquet, metrics/build_training_set.json, models/candidate
Writes
    detect_drift.json: current_drop, reference_drops (dates); current_rows, reference_rows (compared), sampled_part (n:
    one user in n is sampled); measured_columns, drifted_columns, drift_share (0 to 1), drift_share_threshold,
    drift_detected; prediction_distance, prediction_threshold, prediction_drifted (the candidate's scores); churn_rates
    (by as-of date), churn_rate (of the newest, as_of_date), churn_rate_before (of the training dates),
    churn_rate_difference, target_threshold, target_drifted; alarms, one sentence each. What cannot be measured is
    absent, and `reason` says why
    the report's folder: <newest drop>.html, the same in words and tables above Evidently's report, readable offline;
    columns.json, for each column of the newest drop its distance, limit, missing values and new categories
    the plots' folder: history.json, distances.json and history.png, for all drops from the second on
"""

import argparse
import json
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from churn.base.command import run_command
from churn.base.drops import read_drops
from churn.base.files import write_json, write_whole
from churn.base.params import read_section
from churn.drift.history import save_history
from churn.drift.measures import PREDICTION, compare_churn_rates, compare_drops, find_alarms
from churn.drift.report import build_page, run_evidently, summarise
from churn.drift.sample import choose_part, read_features
from churn.scoring.scorer import Scorer, load_scorer


def detect_drift(
    features: Path,
    drops: Path,
    training_set: Path,
    model: Path,
    metrics: Path,
    report: Path,
    plots: Path,
    params: dict[str, Any],
) -> None:
    """Measure the drift of every drop and write the metrics, the report on the newest and the history.

    Parameters
    ----------
    features : Path
        Folder of every drop's features.
    drops : Path
        The list of drops; folders of unlisted drops are ignored.
    training_set : Path
        Metrics of build_training_set, with the churn rate of each as-of date.
    model : Path
        Folder of the candidate.
    metrics : Path
        JSON file to write.
    report, plots : Path
        Folders to write; the report's has one HTML page, named after the newest drop.
    params : dict
        Section detect_drift of params.yaml.

    Raises
    ------
    UserError
        When a drop's features are missing, damaged, or have other columns than the oldest drop's.
    """
    days = read_drops(drops)
    part = choose_part(features, days, params["sample_users"])
    target = compare_churn_rates(json.loads(training_set.read_text()), params["target_threshold"])
    scorer = load_scorer(model / "scorer.onnx")
    weeks: list[dict[str, Any]] = []
    window: deque[pa.Table] = deque(maxlen=params["reference_drops"] + 1)
    schema = None
    for day in days:
        rows = read_features(features, day, part, schema)
        schema = schema or rows.schema
        window.append(add_scores(rows, scorer))
        current, reference = window[-1], pa.concat_tables([window[-1].slice(0, 0), *list(window)[:-1]])
        week = compare_drops(current, reference, params)
        weeks.append(week | {"drop": day.isoformat(), "alarms": find_alarms(week, target, params)})
    content = describe_newest(weeks, target, part, params)
    with write_whole(plots) as folder:
        save_history(weeks[1:], params["drift_share"], folder)
        pictures = [path.read_bytes() for path in folder.glob("*.png")]
    evidently_page = run_evidently(current, reference, weeks[-1], params["drift_share"])
    with write_whole(report) as folder:
        folder.mkdir()
        page = build_page(content, weeks[-1], pictures, evidently_page)
        (folder / f"{content['current_drop']}.html").write_text(page, encoding="utf-8")
        write_json(weeks[-1]["columns"], folder / "columns.json")
    write_json(content, metrics)
    print("\n".join(summarise(content)))


def add_scores(rows: pa.Table, scorer: Scorer) -> pa.Table:
    """Add the candidate's probability of churn as a column."""
    scores = scorer.score(rows) if len(rows) else np.array([])
    return rows.append_column(PREDICTION, pa.array(scores, pa.float64()))


def describe_newest(
    weeks: list[dict[str, Any]], target: dict[str, Any], part: int, params: dict[str, Any]
) -> dict[str, Any]:
    """Return the metrics of the newest drop."""
    newest = weeks[-1]
    content = {
        "current_drop": newest["drop"],
        "reference_drops": [week["drop"] for week in weeks[:-1]][-params["reference_drops"] :],
        "current_rows": newest["rows"],
        "reference_rows": newest["reference_rows"],
        "sampled_part": part,
        "alarms": newest["alarms"],
    }
    if "reason" in newest:
        content["reason"] = newest["reason"]
    else:
        content |= {
            "measured_columns": sum("statistic" in record for record in newest["columns"]),
            "drifted_columns": [record["column"] for record in newest["columns"] if record.get("drifted")],
            "drift_share": newest["drift_share"],
            "drift_share_threshold": params["drift_share"],
            "drift_detected": newest["drift_share"] >= params["drift_share"],
        }
    if newest["prediction"]:
        names = {"statistic": "distance", "threshold": "threshold", "drifted": "drifted"}
        content |= {f"prediction_{name}": newest["prediction"][key] for key, name in names.items()}
    return content | target


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, required=True, help="folder of every drop's features")
    parser.add_argument("--drops", type=Path, required=True, help="the list of drops, data/drops.yaml")
    parser.add_argument("--training-set", type=Path, required=True, help="metrics of build_training_set")
    parser.add_argument("--model", type=Path, required=True, help="folder of the candidate")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--report", type=Path, required=True, help="folder to write, with one HTML page")
    parser.add_argument("--plots", type=Path, required=True, help="folder of the history to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params = read_section(args.params, "detect_drift")
    detect_drift(
        args.features, args.drops, args.training_set, args.model, args.metrics, args.report, args.plots, params
    )


if __name__ == "__main__":
    run_command(main)
