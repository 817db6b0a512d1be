"""The page that scores one user, by the model's own inputs, and shows the reasons."""

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
from churn.dashboard.record import Record
from churn.dashboard.run_files import FEATURES, find_newest, horizon_days, read_table
from churn.dashboard.scored import Scored, read_scores, score_by_heuristic
from churn.features.meanings import describe_payments, describe_users
from churn.scoring.deciles import deciles

# So many reasons are drawn; the table has all of them.
DRAWN = 10
ACROSS = 3
# What would be told as 0.0000 is told as nothing.
LEAST = 0.00005
UNKNOWN = "unknown"


def show(record: Record) -> None:
    """Draw the page."""
    show_rule(record)
    loaded = None
    if record.production:
        try:
            loaded = fetch_model(record.production)
        except UserError as error:
            st.error(f"{plain(error)} Until then this form uses the **local heuristic**.")
    inputs = loaded.inputs if loaded else [FEATURE]
    values = ask(inputs, f"version {record.production.number}" if loaded else NAME)
    if values is None:
        return
    if loaded:
        show_score(record, loaded, values)
    else:
        show_heuristic(values)


def ask(inputs: list[str], by: str) -> dict[str, float] | None:
    """Ask for the inputs; return them, NaN where unknown, when the form was sent."""
    path = find_newest(FEATURES)
    table = read_table(path) if path else None
    user = st.text_input(
        "Start from a user", placeholder="a user id; empty: the medians of all users", width=420, key="prefill"
    ).strip()
    start, origin = prefill(inputs, table, path, user)
    st.caption(f"{plain(origin)} Empty means unknown.")
    payments, users = describe_payments(), describe_users()
    meanings = {name: feature.meaning for name, feature in (payments | users).items()}
    groups = {
        "Payments": [name for name in inputs if name in payments],
        "User": [name for name in inputs if name in users],
        "Others": [name for name in inputs if name not in payments and name not in users],
    }
    values = {}
    with st.form("one user"):
        for group, names in groups.items():
            if not names:
                continue
            st.markdown(f"**{group}**")
            for number, name in enumerate(names):
                if number % ACROSS == 0:
                    # Row by row, so that a phone has them in their order.
                    columns = st.columns(ACROSS)
                # Another user to start from, another model or newer features are another form.
                key = f"{by}:{path and path.stat().st_mtime_ns}:{user}:{name}"
                # Set here, not as the input's default: an input that has a default cannot be emptied.
                st.session_state.setdefault(key, start.get(name))
                values[name] = columns[number % ACROSS].number_input(
                    name,
                    value=None,
                    step=1.0,
                    format="%.12g",
                    placeholder=UNKNOWN,
                    help=meanings.get(name, "Not a feature of today's code."),
                    key=key,
                )
        sent = st.form_submit_button("Score this user", type="primary")
    return {name: np.nan if value is None else value for name, value in values.items()} if sent else None


def prefill(inputs: list[str], table: pa.Table | None, path: Path | None, user: str) -> tuple[dict[str, float], str]:
    """Return what the form starts with, and where that comes from; an input that is unknown is left out."""
    if table is None:
        return {}, "There are no features yet to start from (data/features is empty)."
    known = [name for name in inputs if name in table.column_names]
    if user:
        rows = table.filter(pc.equal(table["user_id"].cast(pa.string()), user)).select(known).to_pylist()
        if rows:
            start = {name: float(value) for name, value in rows[0].items() if value is not None}
            return start, f"Filled with what {path} says of user {user}."
        st.warning(f"User {plain(user)} is not in {path}: the form starts from the medians.")
    # Those of a whole table of unknown values are unknown.
    medians = {name: pc.quantile(table[name], 0.5, interpolation="nearest")[0].as_py() for name in known}
    start = {name: float(f"{value:.6g}") for name, value in medians.items() if value is not None}
    return start, f"Filled with the medians of the {len(table):,} users in {path}."


def show_score(record: Record, loaded: Loaded, values: dict[str, float]) -> None:
    """Draw the score by the model, and its reasons."""
    # Only here: ONNX takes a moment to import.
    from churn.scoring.explanation import explain_rows

    row = pd.DataFrame([values], dtype=np.float64)
    probability = float(loaded.model.predict(row)[0])
    version = record.production
    show_cards(
        Card("Probability of churn", f"{probability:.1%}", f"by version {version.number}"),
        decile_card(probability, read_scores(), version.number),
        flag_card(probability, version.metrics.get("threshold")),
    )
    explanation = explain_rows(loaded.scorer, row)
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
        f"the average of the training rows is {explanation.base:+.3f} {explanation.unit}, with all pushes this user is "
        f"at {margin:+.3f}",
    )


def show_heuristic(values: dict[str, float]) -> None:
    """Draw the score by the rule."""
    horizon = horizon_days()
    probability = float(churn_by_silence(np.array([values[FEATURE]]), horizon)[0])
    if np.isnan(probability):
        st.warning(f"The local heuristic knows nothing without {FEATURE}, in days, 0 or more.")
        return
    show_cards(
        Card("Probability of churn", f"{probability:.1%}", f"by the {NAME}"),
        decile_card(probability, score_by_heuristic(), NAME),
        flag_card(probability, THRESHOLD),
    )
    reasons = pd.DataFrame({"feature": [FEATURE], "value": [values[FEATURE]], "push": [probability - THRESHOLD]})
    show_reasons(reasons, "probability above one half")
    source(f"the {NAME}: silence / (silence + {horizon} days), the horizon of params.yaml (docs/dashboard.md)")


def show_reasons(reasons: pd.DataFrame, title: str) -> None:
    """Draw the strongest reasons, and list all."""
    st.subheader("Why", anchor=False)
    draw_pushes(reasons[reasons["push"].abs() >= LEAST].head(DRAWN), title)
    told = reasons.assign(
        value=[UNKNOWN if np.isnan(value) else f"{value:,.4f}".rstrip("0").rstrip(".") for value in reasons["value"]],
        push=[f"{push:+.4f}" if abs(push) >= LEAST else "0" for push in reasons["push"]],
    )
    st.table(told, hide_index=True, border="horizontal")
    st.caption("A push above 0 is towards churn, one below 0 away from it.")


def decile_card(probability: float, scored: Scored | None, by: str) -> Card:
    """Tell in which tenth of the newest scores the user would stand."""
    if scored is None or scored.by != by or not len(scored.table):
        return Card("Decile", "unknown", "there are no scores by the same model to compare with")
    (decile,) = deciles(np.array([probability]), scored.table["churn_probability"].to_numpy())
    return Card("Decile", str(decile), f"of the users in {scored.path}; 1 is the likeliest to churn")


def flag_card(probability: float, threshold: float | None) -> Card:
    """Tell whether the user would be flagged."""
    if threshold is None:
        return Card("Flagged", "unknown", "the run has no threshold")
    return Card("Flagged", "yes" if probability >= threshold else "no", f"from a probability of {threshold:.3f} on")
