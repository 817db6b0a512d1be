"""The drift page: the verdict on the newest drop, the distance of each column, and the full report."""

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from churn.base.pages import escape_html
from churn.dashboard.cards import NOT_MEASURED, Card, show_cards
from churn.dashboard.notices import plain, source
from churn.dashboard.record import Record
from churn.dashboard.run_files import DRIFT, read_json
from churn.drift.report import summarize

# The report of the stage, or its published copy.
REPORTS = ("reports/drift/{drop}.html", "drift-reports/{drop}.html")
COLUMNS = Path("reports/drift/columns.json")
RECEIPT = Path("reports/release/publish_drift_report.json")
REPORT_HEIGHT = 900


def show(record: Record) -> None:
    """Show the page. It reads only files, so it does not need MLflow."""
    drift = read_json(DRIFT)
    if drift is None:
        st.info(f"No drift has been measured yet: {DRIFT} is missing. Run the pipeline: make run")
        return
    show_verdict(drift)
    show_columns()
    source(str(DRIFT), str(COLUMNS))
    show_report(drift["current_drop"])


def show_verdict(drift: dict[str, Any]) -> None:
    """Show the verdict, as numbers and in words."""
    cards = [Card("Newest drop", drift["current_drop"], f"{drift['current_rows']:,} users")]
    if "reason" in drift:
        cards.append(Card("Drift", NOT_MEASURED, drift["reason"]))
    else:
        drifted, limit = len(drift["drifted_columns"]), drift["drift_share_threshold"]
        cards += [
            Card("Drift", "detected" if drift["drift_detected"] else "not detected", "for the drop as a whole"),
            Card("Drifted columns", f"{drifted} of {drift['measured_columns']}", f"the limit is {limit:.0%} of them"),
        ]
    cards.append(Card("Alarms", str(len(drift["alarms"])), "about columns, missing values, categories, scores, target"))
    show_cards(*cards)
    for alarm in drift["alarms"]:
        st.warning(plain(alarm))
    st.write(plain(" ".join(summarize(drift))))


def show_columns() -> None:
    """List the columns, those that drifted most first, those without a measure last."""
    records = read_json(COLUMNS)
    if not records:
        return
    rows = pd.DataFrame(
        [
            {
                "column": record["column"],
                "distance": record.get("statistic"),
                "limit": record.get("threshold"),
                "of the limit": record["statistic"] / record["threshold"] * 100 if "statistic" in record else None,
                "missing": record["missing_share"],
                "missing before": record["missing_share_before"],
                "new categories": ", ".join(record["new_categories"]),
                "method": record.get("method", record.get("left_out")),
            }
            for record in records
        ]
    ).sort_values("of the limit", ascending=False)
    bar = st.column_config.ProgressColumn(format="%.0f%%", min_value=0.0, max_value=100.0)
    share = st.column_config.NumberColumn(format="percent")
    config = {"of the limit": bar, "missing": share, "missing before": share}
    st.dataframe(rows, hide_index=True, column_config=config)


def show_report(drop: str) -> None:
    """Show the report inside the page."""
    st.subheader("The report", anchor=False)
    receipt = read_json(RECEIPT)
    paths = [Path(report.format(drop=drop)) for report in REPORTS]
    if receipt and receipt["drop"] == drop:
        # DRIFT_REPORT_URI may name another folder.
        paths.append(Path(receipt["uri"].removeprefix("file://")))
    path = next((path for path in paths if path.exists()), None)
    published = f"published at {receipt['uri']}" if receipt and receipt["drop"] == drop else "not published yet"
    if path is None:
        st.info(f"The report of drop {drop} is not in this folder ({published}). Get it: dvc pull reports/drift")
        return
    with st.container(border=True):
        st.iframe(isolate(path.read_text(encoding="utf-8")), height=REPORT_HEIGHT, alt=f"Drift report of {drop}")
    source(str(path), published)


def isolate(page: str) -> str:
    """Return a page in a frame whose scripts reach nothing of the dashboard, neither its pages nor its login.

    Streamlit's own frames have the same origin as the dashboard, so their scripts could act as the user.
    """
    return (
        "<style>body {margin: 0} iframe {border: 0; width: 100%; height: 100vh; display: block}</style>"
        f'<iframe sandbox="allow-scripts" title="Drift report" srcdoc="{escape_html(page)}"></iframe>'
    )
