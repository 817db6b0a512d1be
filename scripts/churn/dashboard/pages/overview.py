"""The first page: which version is in Production, since when and why, how good it is, and whether data drifts."""

from pathlib import Path

import pandas as pd
import streamlit as st

from churn.dashboard.cards import NOT_MEASURED, Card, format_number, show_cards, show_facts
from churn.dashboard.charts import draw_aucs
from churn.dashboard.evaluation_tags import read_gates
from churn.dashboard.notices import plain, show_rule, source
from churn.dashboard.record import Record, Version
from churn.dashboard.run_files import DRIFT, read_json
from churn.release.registry import PRODUCTION

TRAIN = Path("metrics/train_model.json")
RECEIPT = Path("reports/release/promote_model.json")


def show(record: Record) -> None:
    """Show the page."""
    show_rule(record)
    if record.production:
        show_production(record, record.production)
    elif record.problem:
        show_last_run()
    else:
        show_nothing_promoted(record)


def show_production(record: Record, version: Version) -> None:
    """Show the version in Production."""
    with st.container(border=True):
        st.subheader(f"Version {version.number} is in Production", anchor=False)
        show_facts(describe_promotion(record) | describe_origin(version))
        source(f"the ledger and the run of version {version.number} in MLflow ({record.address})")
    show_cards(
        Card("ROC AUC", format_number(version.metrics.get("roc_auc")), describe_interval(version.metrics)),
        drift_card(),
        Card("Drift when registered", *describe_share(version.metrics.get("recent_drift_share"))),
        Card(
            "Calibration error",
            format_number(version.metrics.get("ece")),
            "expected, over ten groups of equal size",
        ),
    )
    source(f"the run of version {version.number}", f"drift now: {DRIFT}")
    rows = compare_models(version)
    if len(rows):
        st.subheader("Compared with the baselines", anchor=False)
        draw_aucs(rows)
        source(f"the run of version {version.number}: ROC AUC on its holdout, with the 95% interval as a line")
    if gates := read_gates(version):
        st.subheader("Gates it was checked against", anchor=False)
        st.table(pd.DataFrame(gates), hide_index=True, border="horizontal")
        source(f"the tag `evaluation` of version {version.number}")
    with st.expander("The raw files it was made from"):
        show_raw_files(version)


def describe_promotion(record: Record) -> dict[str, str]:
    """Return when, by whom and why the version was put into Production."""
    entry = record.promotion
    if entry is None:
        return {"Since": "unknown: the alias was moved by hand in MLflow, so the ledger has no entry"}
    return {
        "Since": f"{entry.when:%Y-%m-%d %H:%M} UTC ({entry.action})",
        "By": entry.who,
        "Why": entry.why,
        "Replaced": f"version {entry.from_version}" if entry.from_version else "nothing: it was the first version",
    }


def describe_origin(version: Version) -> dict[str, str]:
    """Return the commit and the data that a version was made from."""
    tags, metrics = version.run_tags, version.metrics
    commit = tags.get("git_commit")
    dirty = ", with uncommitted changes" if tags.get("git_dirty") == "true" else ""
    drops = sorted({name.split("/")[1] for name in tags if name.startswith("raw/")})
    dates = sorted({name.split(".")[1] for name in metrics if name.startswith("as_of.")})
    facts = {
        "Commit": f"`{commit[:10]}`{dirty}" if commit else "not recorded",
        "Model": version.params.get("train_model.family", "not recorded").replace("_", " "),
        "Drops": f"{len(drops)}: {drops[0]} to {drops[-1]}" if len(drops) > 1 else ", ".join(drops) or "not recorded",
    }
    if dates:
        trained, holdout = metrics.get("train_rows"), metrics.get("holdout_rows")
        rate = metrics.get("holdout_churn_rate")
        facts["Trained on"] = f"{format_number(trained, ',.0f')} rows as of {', '.join(dates[:-1])}"
        facts["Holdout"] = (
            f"{format_number(holdout, ',.0f')} users as of {dates[-1]}; {format_number(rate, '.1%')} churned"
        )
    return facts


def describe_interval(metrics: dict[str, float]) -> str:
    """Return the 95% interval of the ROC AUC as text."""
    if "roc_auc_low" not in metrics:
        return f"interval {NOT_MEASURED}"
    return f"95% interval {metrics['roc_auc_low']:.4f} to {metrics['roc_auc_high']:.4f}"


def describe_share(share: float | None) -> tuple[str, str]:
    """Return a share of drifted columns as text, with a note."""
    return (NOT_MEASURED, "") if share is None else (f"{share:.0%}", "of the columns")


def drift_card() -> Card:
    """Return a card with the drift of the newest drop."""
    drift = read_json(DRIFT)
    if drift is None or "drift_share" not in drift:
        return Card("Drift now", NOT_MEASURED, drift["reason"] if drift else f"{DRIFT} is missing")
    verdict = "detected" if drift["drift_detected"] else "not detected"
    note = f"{verdict} in {drift['current_drop']}; the limit is {drift['drift_share_threshold']:.0%} of the columns"
    return Card("Drift now", f"{drift['drift_share']:.0%}", note)


def compare_models(version: Version) -> pd.DataFrame:
    """Return rows for `draw_aucs`: the version, then its baselines."""
    metrics = version.metrics
    baselines = {name.split(".")[1]: value for name, value in metrics.items() if name.startswith("baselines.")}
    rows: list[tuple[str, float, float | None, float | None, str]] = [
        (name, auc, None, None, "other") for name, auc in sorted(baselines.items(), key=lambda one: -one[1])
    ]
    if "roc_auc" in metrics:
        low, high = metrics.get("roc_auc_low"), metrics.get("roc_auc_high")
        rows.insert(0, (f"version {version.number}", metrics["roc_auc"], low, high, "production"))
    return pd.DataFrame(rows, columns=["name", "roc_auc", "low", "high", "kind"])


def show_raw_files(version: Version) -> None:
    """List the raw files with their hashes."""
    files = {name.removeprefix("raw/"): md5 for name, md5 in version.run_tags.items() if name.startswith("raw/")}
    if files:
        st.dataframe(pd.DataFrame({"file": files.keys(), "MD5": files.values()}), hide_index=True)
    else:
        st.write("Not recorded.")
    source(f"the tags of the run of version {version.number}")


def show_last_run() -> None:
    """Show the results of the last run from files, when the registry cannot be read."""
    receipt, trained = read_json(RECEIPT), read_json(TRAIN)
    if receipt and receipt["production_version"]:
        st.info(f"After the last run here, version {receipt['production_version']} was in Production ({RECEIPT}).")
    trained = trained or {}
    show_cards(
        Card("ROC AUC of the newest candidate", format_number(trained.get("roc_auc")), describe_interval(trained)),
        drift_card(),
        Card("Calibration error", format_number(trained.get("ece")), "of the newest candidate"),
    )
    source(f"{TRAIN}: the newest candidate, which may not be in Production", str(DRIFT))


def show_nothing_promoted(record: Record) -> None:
    """Show why there is no version in Production, and the measures of the newest one."""
    if not record.versions:
        st.info(f"The registry at {plain(record.address)} has no version yet. Run the pipeline: make run")
        show_cards(drift_card())
        source(str(DRIFT))
        return
    newest = record.versions[0]
    if newest.tags.get("decision") == "promote":
        st.info(
            f"Version {newest.number} was promoted, but its alias {PRODUCTION} has since been removed. Set the alias "
            f"again in MLflow, or promote the next candidate: make run"
        )
    else:
        reason = newest.tags.get("reason", "it has not been evaluated yet.")
        st.info(f"The newest version, {newest.number}, was not promoted: {plain(reason)}")
    show_cards(
        Card(
            f"ROC AUC of version {newest.number}",
            format_number(newest.metrics.get("roc_auc")),
            describe_interval(newest.metrics),
        ),
        drift_card(),
    )
    source(f"the run of version {newest.number} in MLflow ({record.address})", str(DRIFT))
