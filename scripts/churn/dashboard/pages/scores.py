"""The page of the batch scores, which can be sorted, filtered and downloaded."""

import io
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import streamlit as st

from churn.dashboard.cards import Card, format_number, show_cards
from churn.dashboard.heuristic import FEATURE, NAME, THRESHOLD
from churn.dashboard.notices import show_rule, source
from churn.dashboard.record import Record
from churn.dashboard.run_files import list_drops
from churn.dashboard.scored import Scored, read_scores, score_by_heuristic
from churn.release.names import model_name

ANY = "any"


def show(record: Record) -> None:
    """Show the page."""
    show_rule(record)
    scored = choose(record)
    if scored is None:
        st.info("There are no users to score yet: data/features is empty. Run the pipeline: make run")
        return
    if not len(scored.table):
        st.info(f"{scored.path} has no users.")
        return
    warn_of_age(record, scored)
    threshold = flag_threshold(record, scored)
    rows = filter_rows(scored.table, threshold)
    mean = pc.mean(rows["churn_probability"]).as_py() if len(rows) else None
    show_cards(
        Card("Users shown", f"{len(rows):,}", f"of {len(scored.table):,}"),
        Card("Mean probability of churn", format_number(mean, ".1%"), "of the users shown"),
        flagged_card(rows, threshold),
    )
    show_rows(rows)
    st.download_button(
        "Download these users as CSV",
        lambda: write_csv(rows),
        file_name=f"churn_scores_{rows['as_of_date'][0] if len(rows) else 'none'}.csv",
        mime="text/csv",
        on_click="ignore",
        disabled=not len(rows),
        icon=":material/download:",
    )
    by = "scored by the local heuristic" if scored.by == NAME else f"scored by version {scored.by} of {model_name()}"
    source(str(scored.path), f"{by} as of {scored.table['as_of_date'][0]}")


def choose(record: Record) -> Scored | None:
    """Return the scores to show. Without a known Production version, the user chooses between both kinds."""
    written = read_scores()
    if record.production:
        return written or score_by_heuristic()
    heuristic = score_by_heuristic()
    if written is None or heuristic is None:
        return written or heuristic
    options = {f"the last scores, by version {written.by}": written, NAME: heuristic}
    default = next(iter(options)) if record.problem else NAME
    chosen = st.segmented_control("Scores to show", list(options), default=default, required=True)
    return options[chosen]


def warn_of_age(record: Record, scored: Scored) -> None:
    """Warn when the scores are not from Production, or not for the newest drop."""
    newest = str(list_drops()[0])
    if newest not in scored.path.parts:
        st.warning(f"These scores are for an older drop: {newest} is not scored yet. Score it: snakemake --cores all")
    if scored.by == NAME:
        if record.production:
            st.warning("**Local heuristic.** The version in Production has not scored yet. Run: snakemake --cores all")
        return
    if record.production and record.production.number != scored.by:
        st.warning(
            f"These scores are from version {scored.by}, but version {record.production.number} is in Production. "
            "Score the users again: make run"
        )


def flag_threshold(record: Record, scored: Scored) -> float | None:
    """Return the probability from which a user is flagged, or None when it is unknown."""
    if scored.by == NAME:
        return THRESHOLD
    version = next((version for version in record.versions if version.number == scored.by), None)
    return version.metrics.get("threshold") if version else None


def filter_rows(table: pa.Table, threshold: float | None) -> pa.Table:
    """Show the filters, and return the rows that pass them."""
    reasons = [name for name in table.column_names if name.startswith("reason_")]
    with st.container(border=True, horizontal=True, vertical_alignment="bottom", key="filters"):
        first, last = st.slider("Deciles (1: most likely to churn)", 1, 10, (1, 10), width=260)
        lowest = st.number_input("Lowest probability", 0.0, 1.0, 0.0, 0.05, width=160)
        user = st.text_input("User id", placeholder="any", width=160).strip()
        if reasons:
            known = sorted(set().union(*(pc.unique(table[name]).to_pylist() for name in reasons)))
            reason = st.selectbox("Among the reasons", [ANY, *known], width=230)
        if threshold is not None and st.checkbox(f"Only flagged (from {threshold:.3f})"):
            lowest = max(lowest, threshold)
    keep = pc.and_(pc.greater_equal(table["decile"], first), pc.less_equal(table["decile"], last))
    keep = pc.and_(keep, pc.greater_equal(table["churn_probability"], lowest))
    if user:
        keep = pc.and_(keep, pc.equal(table["user_id"].cast(pa.string()), user))
    if reasons and reason != ANY:
        keep = pc.and_(keep, reduce(pc.or_, (pc.equal(table[name], reason) for name in reasons)))
    return table.filter(keep)


def flagged_card(rows: pa.Table, threshold: float | None) -> Card:
    """Return a card with the number of users at or above the threshold."""
    if threshold is None:
        return Card("Flagged", "unknown", "the threshold is stored in MLflow, in the run of the version")
    number = pc.sum(pc.greater_equal(rows["churn_probability"], threshold)).as_py() or 0
    return Card("Flagged", f"{number:,}", f"users are flagged from a probability of {threshold:.3f}")


def show_rows(rows: pa.Table) -> None:
    """Show the users. Streamlit sends the browser only the rows in view, and sorts on the server."""
    pushes = {f"push_{number}": st.column_config.NumberColumn(format="%+.3f", width="small") for number in (1, 2, 3)}
    is_number = pa.types.is_integer(rows["user_id"].type)
    columns = {
        "user_id": st.column_config.NumberColumn("user", format="%d") if is_number else st.column_config.Column("user"),
        "churn_probability": st.column_config.ProgressColumn(
            "probability", format="%.3f", min_value=0.0, max_value=1.0
        ),
        "decile": st.column_config.NumberColumn(width="small"),
        FEATURE: st.column_config.NumberColumn(format="%d"),
    }
    # These are the same in every row.
    shown = rows.drop_columns(["as_of_date", "model_version"])
    st.dataframe(shown, hide_index=True, column_config=columns | pushes, height=420, key="scores")
    st.caption("Click the header of a column to sort by it.")


def write_csv(rows: pa.Table) -> bytes:
    """Return the rows as CSV."""
    buffer = io.BytesIO()
    pv.write_csv(rows, buffer)
    return buffer.getvalue()
