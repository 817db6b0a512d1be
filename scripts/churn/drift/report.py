"""Build the drift report's page: a summary above Evidently's own report; equal data give equal bytes."""

import base64
import json
import re
import warnings
from typing import Any

import pyarrow as pa

from churn.base.files import round_floats
from churn.base.pages import ForeignScriptError, escape_html, find_scripts, script_json, write_policy
from churn.drift.measures import make_comparable

# Evidently's random ids: UUIDs of version 7, and the name of the page's data. (The UUIDs in its JavaScript have other
# versions.)
RANDOM_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|metric_[0-9a-f]{32}")
DATA_LINE = re.compile(r"^( *var \w+ = )(\{.*\})(;)$", re.MULTILINE)
# Evidently's page: its data in two lines of a script, and its libraries in the others, one of which draws.
DATA_LINES, SCRIPTS = 2, 4
STYLE = """<style>
.drift-summary {font: 16px/1.5 sans-serif; max-width: 60em; margin: 1.5em auto; padding: 0 1em}
.drift-summary img {max-width: 100%}
.drift-summary table {border-collapse: collapse; display: block; overflow-x: auto; font-size: 14px}
.drift-summary th, .drift-summary td {padding: .2em .8em; border-bottom: 1px solid #ddd; text-align: right}
.drift-summary th:first-child, .drift-summary td:first-child {text-align: left}
.drift-summary .alarm {color: #b42318; font-weight: bold}
</style>"""
HEADINGS = ("column", "distance", "limit", "method", "missing", "missing earlier", "new categories")


def run_evidently(current: pa.Table, reference: pa.Table, week: dict[str, Any], drift_share: float) -> str | None:
    """Return Evidently's page for a comparison, or None if nothing could be measured.

    Parameters
    ----------
    current, reference : pyarrow.Table
        The compared features and scores.
    week : dict
        The result of `compare_drops`, with the columns, methods and thresholds to show.
    drift_share : float
        Drift is detected when at least this share of the columns drifted.
    """
    columns = {record["column"]: record for record in week["columns"] if "statistic" in record}
    if not columns:
        return None
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift
    from evidently.presets import DataDriftPreset
    from threadpoolctl import threadpool_limits

    preset = DataDriftPreset(
        columns=list(columns),
        per_column_method={name: record["method"] for name, record in columns.items()},
        per_column_threshold={name: record["threshold"] for name, record in columns.items()},
        drift_share=drift_share,
    )
    scores = {record["column"]: record for record in [week["prediction"]] if record}
    score_metrics = [
        ValueDrift(column=name, method=record["method"], threshold=record["threshold"])
        for name, record in scores.items()
    ]
    kinds = {
        f"{kind}_columns": [name for name, record in (columns | scores).items() if record["kind"] == kind]
        for kind in ("numerical", "categorical")
    }
    pairs = {name: make_comparable(current[name], reference[name]) for name in [*columns, *scores]}
    datasets = [
        Dataset.from_pandas(pa.table(dict(zip(pairs, side, strict=True))).to_pandas(), DataDefinition(**kinds))
        for side in zip(*pairs.values(), strict=True)
    ]
    # One thread, so that sums have the same last digits on any number of cores; more would not be faster.
    with threadpool_limits(1), warnings.catch_warnings():
        # Evidently correlates the columns, and NumPy warns about constant ones; the report does not show correlations.
        warnings.simplefilter("ignore", RuntimeWarning)
        return str(Report([preset, *score_metrics]).run(*datasets).get_html_str(as_iframe=False))


def stabilise(page: str) -> str:
    """Replace Evidently's random ids by numbers, and round its floats to 6 digits, which are equal on every processor.

    Parameters
    ----------
    page : str
        HTML of an Evidently report.

    Returns
    -------
    str
        The same page, equal for equal data. No text in its data can end the script: Evidently writes them as they are.

    Raises
    ------
    ForeignScriptError
        When the page is not written as Evidently's was when this was tested.
    """
    ids: dict[str, str] = {}
    page = RANDOM_ID.sub(lambda found: ids.setdefault(found[0], f"drift_{len(ids)}"), page)
    page, lines = DATA_LINE.subn(lambda found: f"{found[1]}{_round_json(found[2])}{found[3]}", page)
    if lines != DATA_LINES:
        raise ForeignScriptError(f"Evidently's page has {lines} lines of data instead of {DATA_LINES}.")
    return page


def summarize(metrics: dict[str, Any]) -> list[str]:
    """Return the content of detect_drift.json in sentences."""
    drop, earlier = metrics["current_drop"], metrics["reference_drops"]
    sentences = [f"Drop {drop}: {metrics['current_rows']:,} users."]
    if earlier:
        span = earlier[0] if len(earlier) == 1 else f"the {len(earlier)} drops from {earlier[0]} to {earlier[-1]}"
        sentences.append(f"Compared with {span}: {metrics['reference_rows']:,} rows.")
    if metrics["sampled_part"] > 1:
        sentences.append(
            f"Sampled: one user in {metrics['sampled_part']}, by a hash of the user, the same users in every drop."
        )
    if "reason" in metrics:
        sentences.append(f"Drift was not measured: {metrics['reason']}.")
    else:
        sentences.append(_verdict(metrics))
    if "prediction_distance" in metrics:
        drifted = "drifted" if metrics["prediction_drifted"] else "did not drift"
        distance, limit = metrics["prediction_distance"], metrics["prediction_threshold"]
        sentences.append(f"The candidate's scores {drifted}: distance {distance:.3f}, limit {limit:g}.")
    return [*sentences, _describe_target(metrics)]


def build_page(metrics: dict[str, Any], week: dict[str, Any], pictures: list[bytes], evidently_page: str | None) -> str:
    """Return a page with alarms, summary, history and table, above Evidently's page if there is one."""
    drop = escape_html(metrics["current_drop"])
    title = f"<title>Drift of {drop}</title>"
    summary = "\n".join(
        [
            f'<section class="drift-summary">\n<h1>Drift of {drop}</h1>',
            *_alarm_lines(metrics["alarms"]),
            *(f"<p>{escape_html(sentence)}</p>" for sentence in summarize(metrics)),
            *(f'<img alt="Drift of every drop" src="data:image/png;base64,{_base64(image)}">' for image in pictures),
            *_table(week["columns"]),
            "</section>\n",
        ]
    )
    if evidently_page is None:
        head = f'<head>\n{write_policy()}\n<meta charset="UTF-8">\n{title}\n{STYLE}\n</head>'
        return f'<!DOCTYPE html>\n<html lang="en">\n{head}\n<body>\n{summary}</body>\n</html>\n'
    page = stabilise(evidently_page).strip()
    # Only Evidently's scripts may run; the summary above them has none.
    policy = write_policy(find_scripts(page, SCRIPTS))
    head, body_tag, rest = page.replace("<head>", f"<head>\n{policy}", 1).partition("<body>")
    return f"{head.replace('</head>', f'{title}{STYLE}</head>')}{body_tag}\n{summary}{rest}\n"


def _verdict(metrics: dict[str, Any]) -> str:
    drifted, share, limit = metrics["drifted_columns"], metrics["drift_share"], metrics["drift_share_threshold"]
    counted = f"{len(drifted)} of {metrics['measured_columns']} columns drifted"
    found = f"{counted}{': ' if drifted else ''}{', '.join(drifted)}."
    if metrics["drift_detected"]:
        return f"{found} Share of drifted columns {share:.3f}, limit {limit:g}: drift detected."
    return f"{found} Share of drifted columns {share:.3f}, limit {limit:g}: no drift detected."


def _describe_target(metrics: dict[str, Any]) -> str:
    newest, (first, *more) = metrics["as_of_date"], sorted(metrics["churn_rates"])[:-1]
    dates = f"{first} to {more[-1]} ({len(more) + 1} dates)" if more else first
    drifted = "drifted" if metrics["target_drifted"] else "did not drift"
    now, before = metrics["churn_rate"], metrics["churn_rate_before"]
    return f"{now:.1%} churned as of {newest}, {before:.1%} as of {dates}. The target {drifted}."


def _alarm_lines(alarms: list[str]) -> list[str]:
    if not alarms:
        return ["<p>No alarms.</p>"]
    return ["<ul>", *(f'<li class="alarm">{escape_html(alarm)}</li>' for alarm in alarms), "</ul>"]


def _table(records: list[dict[str, Any]]) -> list[str]:
    if not records:
        return []
    head = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
    rows = []
    for record in records:
        if "statistic" in record:
            figures = [f"{record['statistic']:.3f}", f"{record['threshold']:g}", record["method"]]
        else:
            figures = ["", "", record["left_out"]]
        missing = [f"{record[name]:.1%}" for name in ("missing_share", "missing_share_before")]
        new = ", ".join(f"{name} ({share:.1%})" for name, share in record["new_categories"].items())
        cells = "".join(f"<td>{escape_html(cell)}</td>" for cell in [record["column"], *figures, *missing, new])
        rows.append(f"<tr{' class=alarm' if record.get('drifted') else ''}>{cells}</tr>")
    return [f"<table>\n<tr>{head}</tr>", *rows, "</table>"]


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _round_json(text: str) -> str:
    # First to 12 decimals, so that a tiny difference between equal numbers becomes zero.
    return script_json(round_floats(json.loads(text), lambda value: float(f"{round(value, 12):.6g}")))
