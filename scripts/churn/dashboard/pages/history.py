"""The history page: all versions, and the ledger of which was in Production when."""

import pandas as pd
import streamlit as st

from churn.dashboard.charts import draw_aucs
from churn.dashboard.notices import plain, source
from churn.dashboard.record import Record, Version
from churn.release.ledger import Entry

# More do not fit into a chart.
MAX_DRAWN = 12
FORMATS = {
    **{name: st.column_config.NumberColumn(format="%.4f") for name in ("ROC AUC", "low", "high")},
    "drift": st.column_config.NumberColumn(format="percent"),
    "why": st.column_config.TextColumn(width="large"),
}


def show(record: Record) -> None:
    """Show the page."""
    if record.problem:
        st.info("The history of the versions is only in MLflow. Reload this page when MLflow answers.")
        return
    if not record.versions:
        st.info(f"The registry at {plain(record.address)} has no version yet. Run the pipeline: make run")
        return
    st.subheader("Versions", anchor=False)
    measured = pd.DataFrame(
        [
            (
                f"version {version.number}",
                version.metrics["roc_auc"],
                version.metrics.get("roc_auc_low"),
                version.metrics.get("roc_auc_high"),
                "production" if version == record.production else "other",
            )
            for version in record.versions[:MAX_DRAWN]
            if "roc_auc" in version.metrics
        ],
        columns=["name", "roc_auc", "low", "high", "kind"],
    )
    if len(measured):
        draw_aucs(measured)
    rows = pd.DataFrame([describe(record, version) for version in record.versions])
    st.dataframe(rows, hide_index=True, column_config=FORMATS)
    with st.expander("Why each version was promoted or not"):
        for version in record.versions:
            decision, reason = (version.tags.get(tag) for tag in ("decision", "reason"))
            text = f"{decision}. {reason}" if decision and reason else "It was not evaluated."
            st.write(f"**Version {version.number}:** {plain(text)}")
    source(
        f"the tags and runs of the versions in MLflow ({record.address})",
        "each ROC AUC is measured on the holdout of its own version, so compare only versions with the same holdout",
    )
    st.subheader("Ledger", anchor=False)
    if record.entries:
        st.dataframe(pd.DataFrame(map(describe_entry, record.entries[::-1])), hide_index=True, column_config=FORMATS)
    else:
        st.write("No version has been promoted yet.")
    source("the ledger in MLflow: who promoted or rolled back which version, when and why")


def describe(record: Record, version: Version) -> dict[str, object]:
    """Return the row of a version."""
    metrics, dates = version.metrics, [name.split(".")[1] for name in version.metrics if name.startswith("as_of.")]
    return {
        "version": int(version.number),
        "state": state(record, version),
        "registered (UTC)": version.registered.strftime("%Y-%m-%d %H:%M"),
        "ROC AUC": metrics.get("roc_auc"),
        "low": metrics.get("roc_auc_low"),
        "high": metrics.get("roc_auc_high"),
        "holdout": max(dates, default=None),
        "drift": metrics.get("recent_drift_share"),
        "model": version.params.get("train_model.family", "").replace("_", " "),
        "commit": version.run_tags.get("git_commit", "")[:10],
        "decision": version.tags.get("decision"),
        "why": version.tags.get("reason"),
    }


def state(record: Record, version: Version) -> str:
    """Return whether a version is in Production, was rolled back, or is the previous one."""
    if version == record.production:
        return "in Production"
    if version.rolled_back:
        return f"rolled back: {version.rolled_back}"
    return "previous" if version == record.previous else ""


def describe_entry(entry: Entry) -> dict[str, object]:
    """Return an entry's row."""
    return {
        "entry": entry.number,
        "when (UTC)": entry.when.strftime("%Y-%m-%d %H:%M"),
        "action": entry.action,
        "from": entry.from_version or "-",
        "to": entry.to_version,
        "who": entry.who,
        "commit": entry.git_commit[:10],
        "remark": entry.remark,
        "why": entry.why,
    }
