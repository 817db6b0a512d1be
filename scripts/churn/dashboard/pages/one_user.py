"""The page that scores one user from the inputs of the model, and shows the reasons."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from churn.base.command import UserError
from churn.dashboard.artifacts import Loaded, fetch_model
from churn.dashboard.cards import Card, show_cards
from churn.dashboard.charts import draw_pushes
from churn.dashboard.heuristic import FEATURE, NAME, THRESHOLD, churn_by_silence
from churn.dashboard.notices import plain, show_rule, source
from churn.dashboard.record import Record, Version
from churn.dashboard.run_files import FEATURES, find_newest, horizon_days, read_table
from churn.dashboard.scored import Scored, read_scores, score_by_heuristic
from churn.features.meanings import describe_payments, describe_users
from churn.scoring.deciles import deciles

# The chart shows only the strongest reasons; the table has all of them.
MAX_DRAWN = 10
COLUMNS = 3
# Smaller pushes would be rounded to 0.0000: the chart omits them, and the table shows 0.
MIN_PUSH = 0.00005
UNKNOWN = "unknown"


def show(record: Record) -> None:
    """Show the page."""
    show_rule(record)
    version = record.production
    if version:
        try:
            loaded = fetch_model(version)
        except UserError as error:
            st.error(f"{plain(error)} Until then, this form uses the **local heuristic**.")
        else:
            if values := show_form(loaded.scorer.features, f"version {version.number}"):
                show_score(version, loaded, values)
            return
    if values := show_form([FEATURE], NAME):
        show_heuristic(values)


def show_form(inputs: list[str], by: str) -> dict[str, float] | None:
    """Show a form for the inputs; return their values once it is submitted, NaN where unknown."""
    path = find_newest(FEATURES)
    table = read_table(path) if path else None
    user = st.text_input(
        "Start from a user", placeholder="a user id, or empty for the medians of all users", width=420, key="prefill"
    ).strip()
    start, origin = prefill(inputs, table, path, user)
    st.caption(f"{plain(origin)} An empty field means unknown.")
    payments, users = describe_payments(), describe_users()
    meanings = {name: feature.meaning for name, feature in (payments | users).items()}
    groups = {
        "Payments": [name for name in inputs if name in payments],
        "User": [name for name in inputs if name in users],
        "Other": [name for name in inputs if name not in payments and name not in users],
    }
    values = {}
    with st.form("one user"):
        for group, names in groups.items():
            if not names:
                continue
            st.markdown(f"**{group}**")
            for number, name in enumerate(names):
                if number % COLUMNS == 0:
                    # Row by row, so that a phone shows them in the right order.
                    columns = st.columns(COLUMNS)
                # A new key, so that the form starts again for another user, model or features.
                key = f"{by}:{path and path.stat().st_mtime_ns}:{user}:{name}"
                # Not by `value=`: a field with a default value cannot be emptied.
                st.session_state.setdefault(key, start.get(name))
                values[name] = columns[number % COLUMNS].number_input(
                    name,
                    value=None,
                    step=1.0,
                    format="%.12g",
                    placeholder=UNKNOWN,
                    help=meanings.get(name, "Unknown: the current code has no such feature."),
                    key=key,
                )
        submitted = st.form_submit_button("Score this user", type="primary")
    return {name: np.nan if value is None else value for name, value in values.items()} if submitted else None


def prefill(inputs: list[str], table: pa.Table | None, path: Path | None, user: str) -> tuple[dict[str, float], str]:
    """Return the initial values of the form, without unknown ones, and a sentence about where they come from."""
    if table is None:
        return {}, "There are no features yet to fill in (data/features is empty)."
    known = [name for name in inputs if name in table.column_names]
    if user:
        rows = table.filter(pc.equal(table["user_id"].cast(pa.string()), user)).select(known).to_pylist()
        if rows:
            start = {name: float(value) for name, value in rows[0].items() if value is not None}
            return start, f"Filled in with the features of user {user} from {path}."
        st.warning(f"User {plain(user)} is not in {path}. The form shows the medians instead.")
    # The median is None when all values of a feature are unknown.
    medians = {name: pc.quantile(table[name], 0.5, interpolation="nearest")[0].as_py() for name in known}
    start = {name: float(f"{value:.6g}") for name, value in medians.items() if value is not None}
    return start, f"Filled in with the medians of the {len(table):,} users in {path}."


def show_score(version: Version, loaded: Loaded, values: dict[str, float]) -> None:
    """Show the score of the model, and its reasons."""
    # Imported here, as ONNX is slow to import.
    from churn.scoring.explanation import explain_rows

    row = pd.DataFrame([values], dtype=np.float64)
    probability = float(loaded.scorer.score(row)[0])
    show_cards(
        Card("Probability of churn", f"{probability:.1%}", f"by version {version.number}"),
        decile_card(probability, read_scores(), version.number),
        flag_card(probability, version.metrics.get("threshold")),
    )
    explanation = explain_rows(loaded.content, row)
    order = np.argsort(-np.abs(explanation.values[0]), kind="stable")
    reasons = pd.DataFrame(
        {
            "feature": np.array(explanation.features)[order],
            "value": explanation.data[0][order],
            "push": explanation.values[0][order],
        }
    )
    show_reasons(reasons, f"SHAP value ({explanation.unit})")
    margin = explanation.base + explanation.values[0].sum()
    source(
        f"the model and the run of version {version.number} in MLflow",
        f"the average of the training rows is {explanation.base:+.3f} {explanation.unit}; with all pushes added, this "
        f"user has {margin:+.3f}",
    )


def show_heuristic(values: dict[str, float]) -> None:
    """Show the score of the local heuristic."""
    horizon = horizon_days()
    probability = float(churn_by_silence(np.array([values[FEATURE]]), horizon)[0])
    if np.isnan(probability):
        st.warning(f"The local heuristic needs {FEATURE}, in days, 0 or more.")
        return
    show_cards(
        Card("Probability of churn", f"{probability:.1%}", f"by the {NAME}"),
        decile_card(probability, score_by_heuristic(), NAME),
        flag_card(probability, THRESHOLD),
    )
    reasons = pd.DataFrame({"feature": [FEATURE], "value": [values[FEATURE]], "push": [probability - THRESHOLD]})
    show_reasons(reasons, "probability above 0.5")
    source(f"the {NAME}: days / (days + {horizon}), with the horizon of params.yaml (docs/guides/dashboard.md)")


def show_reasons(reasons: pd.DataFrame, title: str) -> None:
    """Draw the strongest reasons, and list all of them."""
    st.subheader("Why", anchor=False)
    draw_pushes(reasons[reasons["push"].abs() >= MIN_PUSH].head(MAX_DRAWN), title)
    table = reasons.assign(
        value=[UNKNOWN if np.isnan(value) else f"{value:,.4f}".rstrip("0").rstrip(".") for value in reasons["value"]],
        push=[f"{push:+.4f}" if abs(push) >= MIN_PUSH else "0" for push in reasons["push"]],
    )
    st.table(table, hide_index=True, border="horizontal")
    st.caption("A positive push is towards churn, a negative one away from it.")


def decile_card(probability: float, scored: Scored | None, by: str) -> Card:
    """Return a card with the user's decile among the newest scores."""
    if scored is None or scored.by != by or not len(scored.table):
        return Card("Decile", "unknown", "there are no scores by the same model to compare with")
    (decile,) = deciles(np.array([probability]), scored.table["churn_probability"].to_numpy())
    return Card("Decile", str(decile), f"among the users in {scored.path}; 1 is the most likely to churn")


def flag_card(probability: float, threshold: float | None) -> Card:
    """Return a card that says whether the user is flagged."""
    if threshold is None:
        return Card("Flagged", "unknown", "the run has no threshold")
    return Card(
        "Flagged",
        "yes" if probability >= threshold else "no",
        f"users are flagged from a probability of {threshold:.3f}",
    )
