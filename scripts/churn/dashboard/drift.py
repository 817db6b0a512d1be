"""The page of drift: the verdict on the newest drop, each column's distance, and the whole report."""

from pathlib import Path

import pandas as pd
import streamlit as st

from churn.dashboard.notices import source
from churn.dashboard.record import Record
from churn.dashboard.run_files import DRIFT, read_json
from churn.drift_report import summarise

# The stage's own report, then the published one: the same bytes.
REPORTS = ("reports/drift/{drop}.html", "drift-reports/{drop}.html")
RECEIPT = Path("reports/release/publish_drift_report.json")
REPORT_HEIGHT = 900


def show(record: Record) -> None:
    """Draw the page; drift is in files, so that it does not matter whether MLflow answers."""
    drift = read_json(DRIFT)
    if drift is None:
        st.info(f"Drift was not measured yet: {DRIFT} is missing. Run the pipeline: make run")
        return
    for sentence in summarise(drift):
        st.write(sentence)
    if drift["columns"]:
        show_columns(drift)
    source(str(DRIFT))
    show_report(drift["current_drop"])


def show_columns(drift: dict) -> None:
    """List the columns, the one that moved most first."""
    rows = pd.DataFrame(
        [
            {
                "column": name,
                "distance": column["statistic"],
                "limit": column["threshold"],
                "share of the limit": column["statistic"] / column["threshold"],
                "drifted": "yes" if column["drifted"] else "no",
                "method": column["method"],
            }
            for name, column in drift["columns"].items()
        ]
    ).sort_values("share of the limit", ascending=False)
    bar = st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0)
    st.dataframe(rows, hide_index=True, column_config={"share of the limit": bar})


def show_report(drop: str) -> None:
    """Put the report into the page."""
    st.subheader("The report", anchor=False)
    paths = [Path(report.format(drop=drop)) for report in REPORTS]
    path = next((path for path in paths if path.exists()), None)
    receipt = read_json(RECEIPT)
    published = f"published at {receipt['uri']}" if receipt and receipt["drop"] == drop else "not published yet"
    if path is None:
        st.info(f"The report of drop {drop} is not in this folder ({published}). Get it: dvc pull reports/drift")
        return
    st.iframe(path, height=REPORT_HEIGHT, alt=f"Drift report of {drop}")
    source(str(path), published)
