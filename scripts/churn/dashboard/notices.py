"""Notices on the pages: MLflow does not answer, a rule scores instead of a model, where numbers come from."""

import re

import streamlit as st

from churn.dashboard.record import Record
from churn.release.names import model_name
from churn.release.registry import PRODUCTION

MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~$<>:&-])")


def plain(text: object) -> str:
    """Escape a text for Streamlit's Markdown: a reason may contain dollars, stars and brackets."""
    return MARKS.sub(r"\\\1", str(text))


def show_problem(record: Record) -> None:
    """Show an error if the registry cannot be read."""
    if record.problem:
        st.error(f"**{plain(record.problem)}** {plain(record.fix)} This page uses the files in this folder instead.")
        with st.expander("Message from MLflow"):
            st.code(record.detail, language=None, wrap_lines=True)


def show_rule(record: Record) -> None:
    """Show that the local heuristic is used, and why, unless a model is in Production."""
    if record.production:
        return
    why = "MLflow cannot be read" if record.problem else f"no version of {model_name()} has the alias {PRODUCTION}"
    st.warning(
        f"**Local heuristic.** There is no model to use: {why}. Scores made here now use only the days since the last "
        "payment, with a fixed rule (docs/guides/dashboard.md).",
        icon=":material/rule:",
    )


def source(*places: str) -> None:
    """Show the source of the numbers above."""
    st.caption(f"Source: {plain('; '.join(places))}.")
