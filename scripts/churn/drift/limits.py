"""Hold what was measured of a week against the limits in params.yaml: what drifted, and alarms."""

from typing import Any


def apply_limits(week: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Return a week with `threshold` and `drifted` in each measured record, and drift_share (0 to 1), if measured.

    Parameters
    ----------
    week : dict
        The result of `churn.drift.measures.compare_drops`.
    params : dict
        Section detect_drift of params.yaml.
    """
    columns = [apply_limit(record, params) for record in week["columns"]]
    measured = [record for record in columns if "statistic" in record]
    share = {"drift_share": sum(record["drifted"] for record in measured) / len(measured)} if measured else {}
    return week | {"columns": columns} | share


def apply_limit(record: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Return a column's record with its limit, if it was measured."""
    if "statistic" not in record:
        return record
    threshold = params[f"{record['kind']}_threshold"]
    return record | {"threshold": threshold, "drifted": record["statistic"] >= threshold}


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


def find_alarms(week: dict[str, Any], params: dict[str, Any]) -> list[str]:
    """Return a sentence for each unusual finding of `apply_limits`; empty in a normal week."""
    alarms = []
    if week.get("drift_share", 0) >= params["drift_share"]:
        alarms.append(f"{week['drift_share']:.0%} of the columns drifted; the limit is {params['drift_share']:.0%}.")
    for record in week["columns"]:
        alarms += _column_alarms(record, params)
    return alarms


def find_model_alarms(prediction: dict[str, Any] | None, target: dict[str, Any]) -> list[str]:
    """Return a sentence if the candidate's scores drifted, and one if the churn rate did."""
    alarms = []
    if prediction and prediction["drifted"]:
        alarms.append(f"The candidate's scores drifted: {_distance(prediction)}.")
    if target["target_drifted"]:
        alarms.append(
            f"Churn rate {target['churn_rate']:.1%} as of {target['as_of_date']}, {target['churn_rate_before']:.1%} at "
            "earlier dates."
        )
    return alarms


def _column_alarms(record: dict[str, Any], params: dict[str, Any]) -> list[str]:
    name, alarms = record["column"], []
    if record.get("drifted"):
        alarms.append(f"{name} drifted: {_distance(record)}.")
    missing, before = record["missing_share"], record["missing_share_before"]
    if abs(missing - before) >= params["missing_threshold"]:
        alarms.append(f"{name} is missing for {missing:.1%} of the users (earlier drops: {before:.1%}).")
    for category, share in record["new_categories"].items():
        if share >= params["new_category_threshold"]:
            alarms.append(f"{name} has a new category, {category}: {share:.1%} of the users.")
    return alarms


def _distance(record: dict[str, Any]) -> str:
    return f"{record['method']} distance {record['statistic']:.3f}, limit {record['threshold']:g}"
