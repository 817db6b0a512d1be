"""Compare a drop's features with those of earlier drops: distances, missing values, new categories, alarms."""

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# Name of the column with the candidate's score of each user.
PREDICTION = "churn_probability"
NO_VALUE = {
    (True, True): "no value in any of these drops",
    (True, False): "no value in the newest drop",
    (False, True): "no value in the drops before it",
}


def compare_drops(current: pa.Table, reference: pa.Table, params: dict[str, Any]) -> dict[str, Any]:
    """Compare a drop with the rows of earlier drops.

    Parameters
    ----------
    current, reference : pyarrow.Table
        Features, and the candidate's score as `churn_probability`; the same columns, null where unknown.
    params : dict
        Section detect_drift of params.yaml.

    Returns
    -------
    dict
        rows and reference_rows; `columns`, a record for each feature; `prediction`, the record of the score, or None if
        it cannot be measured. A record has: column, kind, missing_share and missing_share_before (0 to 1),
        new_categories (share by name); and method, statistic (a distance, 0 for no change), threshold and drifted, or
        `left_out`, the reason why it is not measured. drift_share (0 to 1 of the measured columns), or `reason`, why it
        cannot be measured.
    """
    found: dict[str, Any] = {"rows": len(current), "reference_rows": len(reference), "columns": [], "prediction": None}
    if not len(reference):
        return found | {"reason": "there is no earlier drop with users to compare with"}
    records = [compare_column(name, current[name], reference[name], params) for name in current.column_names]
    found["columns"] = [record for record in records if record["column"] != PREDICTION]
    scores = (record for record in records if record["column"] == PREDICTION and "statistic" in record)
    found["prediction"] = next(scores, None)
    measured = [record for record in found["columns"] if "statistic" in record]
    if not measured:
        return found | {"reason": "no column has a value both in the newest drop and before it"}
    return found | {"drift_share": sum(record["drifted"] for record in measured) / len(measured)}


def compare_column(
    name: str, current: pa.ChunkedArray, reference: pa.ChunkedArray, params: dict[str, Any]
) -> dict[str, Any]:
    """Return the record of one column."""
    kind = "categorical" if _is_category(current) and _is_category(reference) else "numerical"
    missing, before = (_missing_share(values) for values in (current, reference))
    record = {
        "column": name,
        "kind": kind,
        "missing_share": missing,
        "missing_share_before": before,
        "new_categories": find_new_categories(current, reference) if pa.types.is_string(current.type) else {},
    }
    if reason := NO_VALUE.get((missing == 1, before == 1)):
        return record | {"left_out": reason}
    method, threshold = params[f"{kind}_method"], params[f"{kind}_threshold"]
    statistic = measure_distance(current.drop_null().to_pandas(), reference.drop_null().to_pandas(), kind, method)
    result = {"statistic": statistic, "threshold": threshold, "drifted": statistic >= threshold}
    return record | {"method": method} | result


def measure_distance(current: pd.Series, reference: pd.Series, kind: str, method: str) -> float:
    """Return Evidently's distance between two columns without missing values; larger means more drift."""
    # The functions behind Evidently's reports. A report also plots and correlates every column, and the history has one
    # comparison per week: with reports it would take seven times as long.
    from evidently.legacy.calculations.stattests.registry import get_stattest
    from evidently.legacy.core import ColumnType

    column_type = ColumnType.Numerical if kind == "numerical" else ColumnType.Categorical
    distance = get_stattest(reference, current, column_type, method)
    return float(distance(reference, current, column_type, threshold=None).drift_score)


def find_new_categories(current: pa.ChunkedArray, reference: pa.ChunkedArray) -> dict[str, float]:
    """Return the share of rows of each value that did not occur before."""
    known = pc.unique(reference)
    counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(current.drop_null()).to_pylist()}
    new = sorted(set(counts) - set(known.to_pylist()))
    return {name: counts[name] / len(current) for name in new}


def compare_churn_rates(training_set: dict[str, Any], threshold: float) -> dict[str, Any]:
    """Compare the churn rate of the newest as-of date with that of the training dates, which are older.

    Parameters
    ----------
    training_set : dict
        Content of metrics/build_training_set.json.
    threshold : float
        The target drifted if the rates differ by at least this much.
    """
    dates, newest = training_set["as_of_dates"], training_set["holdout_date"]
    older = [dates[day] for day in training_set["training_dates"]]
    rate = dates[newest]["churn_rate"]
    before = sum(day["churned"] for day in older) / sum(day["rows"] for day in older)
    difference = rate - before
    return {
        "as_of_date": newest,
        "churn_rates": {day: dates[day]["churn_rate"] for day in sorted(dates)},
        "churn_rate": rate,
        "churn_rate_before": before,
        "churn_rate_difference": difference,
        "target_threshold": threshold,
        "target_drifted": abs(difference) >= threshold,
    }


def find_alarms(found: dict[str, Any], target: dict[str, Any], params: dict[str, Any]) -> list[str]:
    """Return a sentence for each unusual finding of a comparison; empty in a normal week."""
    alarms = []
    if found.get("drift_share", 0) >= params["drift_share"]:
        alarms.append(f"{found['drift_share']:.0%} of the columns drifted; the limit is {params['drift_share']:.0%}.")
    for record in found["columns"]:
        alarms += _column_alarms(record, params)
    prediction = found["prediction"]
    if prediction and prediction["drifted"]:
        alarms.append(f"The candidate's scores drifted: {_distance(prediction)}.")
    if target["target_drifted"]:
        alarms.append(
            f"{target['churn_rate']:.1%} churned as of {target['as_of_date']}, {target['churn_rate_before']:.1%} as of "
            "the dates before it."
        )
    return alarms


def _column_alarms(record: dict[str, Any], params: dict[str, Any]) -> list[str]:
    name, alarms = record["column"], []
    if record.get("drifted"):
        alarms.append(f"{name} drifted: {_distance(record)}.")
    missing, before = record["missing_share"], record["missing_share_before"]
    if abs(missing - before) >= params["missing_threshold"]:
        alarms.append(f"{name} is missing for {missing:.1%} of the users; before, for {before:.1%}.")
    for category, share in record["new_categories"].items():
        if share >= params["new_category_threshold"]:
            alarms.append(f"{name} has a new category, {category}: {share:.1%} of the users.")
    return alarms


def _distance(record: dict[str, Any]) -> str:
    return f"{record['method']} distance {record['statistic']:.3f}, limit {record['threshold']:g}"


def _missing_share(values: pa.ChunkedArray) -> float:
    return float(values.null_count / len(values)) if len(values) else 1.0


def _is_category(values: pa.ChunkedArray) -> bool:
    # Text, or only 0 and 1.
    if pa.types.is_string(values.type):
        return True
    return bool(pc.all(pc.is_in(values.drop_null(), pa.array([0.0, 1.0]))).as_py())
