"""Hold the drift of every drop against its limits, and write a report on the newest drop.

Reads
    data/drops.yaml, metrics/measure_drift/<drop>.json of every drop, data/drift/<newest drop>/rows.parquet,
    metrics/build_training_set.json, models/candidate
Writes
    detect_drift.json: current_drop, reference_drops (dates); current_rows, reference_rows (compared), sampled_part (n:
    one user in n is sampled); measured_columns, drifted_columns, drift_share (0 to 1), drift_share_threshold,
    drift_detected; prediction_distance, prediction_threshold, prediction_drifted (the candidate's scores); churn_rates
    (by as-of date), churn_rate (of the newest, as_of_date), churn_rate_before (of the training dates),
    churn_rate_difference, target_threshold, target_drifted; alarms, one sentence each. What cannot be measured is
    absent, and `reason` says why
    the report's folder: <newest drop>.html, the same in words and tables above Evidently's report, readable offline;
    columns.json, for each column of the newest drop its distance, limit, missing values and new categories
    the plots' folder: history.json, distances.json and history.png, for all drops from the second on; the scores, whose
    distance is the candidate's, only for the newest
"""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from churn.base.command import run_command
from churn.base.drops import read_drops
from churn.base.files import write_json, write_whole
from churn.base.params import read_section
from churn.base.reading import read_json
from churn.drift.history import save_history
from churn.drift.limits import apply_limit, apply_limits, compare_churn_rates, find_alarms, find_model_alarms
from churn.drift.measures import PREDICTION, compare_column
from churn.drift.report import build_page, run_evidently, summarize
from churn.drift.sample import read_sample
from churn.scoring.scorer import Scorer, load_scorer


def detect_drift(
    measures: Path,
    drops: Path,
    sample: Path,
    training_set: Path,
    model: Path,
    metrics: Path,
    report: Path,
    plots: Path,
    params: dict[str, Any],
) -> None:
    """Write the metrics and the report on the newest drop, and the history of all drops.

    Parameters
    ----------
    measures : Path
        Folder of the metrics of measure_drift.
    drops : Path
        The list of drops; files of unlisted drops are ignored.
    sample : Path
        Folder with the rows that measure_drift compared for the newest drop.
    training_set : Path
        Metrics of build_training_set, with the churn rate of each as-of date.
    model : Path
        Folder of the candidate.
    metrics : Path
        JSON file to write.
    report, plots : Path
        Folders to write; the report's has one HTML page, named after the newest drop.
    params : dict
        Sections measure_drift and detect_drift of params.yaml.
    """
    target = compare_churn_rates(read_json(training_set), params["target_threshold"])
    weeks = [read_week(measures / f"{day}.json", params) for day in read_drops(drops)]
    newest = weeks[-1]
    current, reference = add_scores(sample, newest["drop"], load_scorer(model / "scorer.onnx"))
    newest["prediction"] = compare_scores(current, reference, params)
    newest["alarms"] += find_model_alarms(newest["prediction"], target)
    content = describe_newest(newest, target, params)
    with write_whole(plots) as folder:
        save_history(weeks[1:], params["drift_share"], folder)
        pictures = [path.read_bytes() for path in folder.glob("*.png")]
    evidently_page = run_evidently(current, reference, newest, params["drift_share"])
    with write_whole(report) as folder:
        folder.mkdir()
        page = build_page(content, newest, pictures, evidently_page)
        (folder / f"{content['current_drop']}.html").write_text(page, encoding="utf-8")
        write_json(newest["columns"], folder / "columns.json")
    write_json(content, metrics)
    print("\n".join(summarize(content)))


def read_week(metrics: Path, params: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured of a drop, with what that means by the limits."""
    week = apply_limits(read_json(metrics), params)
    return week | {"alarms": find_alarms(week, params), "prediction": None}


def add_scores(sample: Path, drop: str, scorer: Scorer) -> tuple[pa.Table, pa.Table]:
    """Return the compared rows of the newest drop and of those before, with the candidate's probability of churn."""
    rows = read_sample(sample)
    assert rows is not None, "every drop has a sample"
    now, before, _ = rows.split(date.fromisoformat(drop))
    scored = [
        table.append_column(PREDICTION, pa.array(scorer.score(table) if len(table) else [], pa.float64()))
        for table in (now, before)
    ]
    return scored[0], scored[1]


def compare_scores(current: pa.Table, reference: pa.Table, params: dict[str, Any]) -> dict[str, Any] | None:
    """Return the record of the candidate's scores, None if there is nothing to compare."""
    record = compare_column(PREDICTION, current[PREDICTION], reference[PREDICTION], params)
    return apply_limit(record, params) if "statistic" in record else None


def describe_newest(newest: dict[str, Any], target: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics of the newest drop."""
    content = {
        "current_drop": newest["drop"],
        "reference_drops": newest["reference_drops"],
        "current_rows": newest["rows"],
        "reference_rows": newest["reference_rows"],
        "sampled_part": newest["sampled_part"],
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
    parser.add_argument("--measures", type=Path, required=True, help="folder of the metrics of measure_drift")
    parser.add_argument("--drops", type=Path, required=True, help="the list of drops, data/drops.yaml")
    parser.add_argument("--sample", type=Path, required=True, help="folder with the newest drop's compared rows")
    parser.add_argument("--training-set", type=Path, required=True, help="metrics of build_training_set")
    parser.add_argument("--model", type=Path, required=True, help="folder of the candidate")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--report", type=Path, required=True, help="folder to write, with one HTML page")
    parser.add_argument("--plots", type=Path, required=True, help="folder of the history to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params = read_section(args.params, "measure_drift") | read_section(args.params, "detect_drift")
    inputs = args.measures, args.drops, args.sample, args.training_set, args.model
    detect_drift(*inputs, args.metrics, args.report, args.plots, params)


if __name__ == "__main__":
    run_command(main)
