"""The page of drift: the verdict on the newest drop, each column's distance, and the whole report."""

from pathlib import Path

import pandas as pd
import streamlit as st

from churn.dashboard.cards import ABSENT, Card, show_cards
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
    show_verdict(drift)
    if drift["columns"]:
        show_columns(drift)
    source(str(DRIFT))
    show_report(drift["current_drop"])


def show_verdict(drift: dict) -> None:
    """Tell what was found, as numbers and in words."""
    cards = [Card("Newest drop", drift["current_drop"], f"{drift['current_rows']:,} users")]
    if "reason" in drift:
        cards.append(Card("Drift", ABSENT, drift["reason"]))
    else:
        drifted, limit = len(drift["drifted_columns"]), drift["drift_share_threshold"]
        cards += [
            Card("Drift", "detected" if drift["drift_detected"] else "not detected", "of the drop as a whole"),
            Card("Columns that drifted", f"{drifted} of {len(drift['columns'])}", f"the limit is {limit:.0%} of them"),
        ]
    show_cards(*cards)
    st.write(" ".join(summarise(drift)))


def show_columns(drift: dict) -> None:
    """List the columns, the one that moved most first."""
    rows = pd.DataFrame(
        [
            {
                "column": name,
                "distance": column["statistic"],
                "limit": column["threshold"],
                "of the limit": column["statistic"] / column["threshold"] * 100,
                "drifted": "yes" if column["drifted"] else "no",
                "method": column["method"],
            }
            for name, column in drift["columns"].items()
        ]
    ).sort_values("of the limit", ascending=False)
    bar = st.column_config.ProgressColumn(format="%.0f%%", min_value=0.0, max_value=100.0)
    st.dataframe(rows, hide_index=True, column_config={"of the limit": bar})


def show_report(drop: str) -> None:
    """Put the report into the page."""
    st.subheader("The report", anchor=False)
    receipt = read_json(RECEIPT)
    paths = [Path(report.format(drop=drop)) for report in REPORTS]
    if receipt and receipt["drop"] == drop:
        # Where DRIFT_REPORT_URI is another folder.
        paths.append(Path(receipt["uri"].removeprefix("file://")))
    path = next((path for path in paths if path.exists()), None)
    published = f"published at {receipt['uri']}" if receipt and receipt["drop"] == drop else "not published yet"
    if path is None:
        st.info(f"The report of drop {drop} is not in this folder ({published}). Get it: dvc pull reports/drift")
        return
    with st.container(border=True):
        st.iframe(path, height=REPORT_HEIGHT, alt=f"Drift report of {drop}")
    source(str(path), published)
