"""What every page says first: that MLflow does not answer, or that no model is in Production."""

import streamlit as st

from churn.dashboard.heuristic import NAME
from churn.dashboard.record import Record
from churn.registry import MODEL, PRODUCTION


def show_state(record: Record) -> None:
    """Say what is wrong with the registry, and by what users are scored then; nothing when all is well."""
    if record.problem:
        st.error(f"**MLflow is down.** {record.problem} What is shown below comes from the files in this folder.")
        with st.expander("What MLflow said"):
            st.code(record.detail, language=None, wrap_lines=True)
    if record.production is None:
        why = "MLflow is down" if record.problem else f"no version of {MODEL} has the alias {PRODUCTION!r}"
        st.warning(
            f"**Local heuristic.** No model scores here, because {why}: users are scored by how long they have been "
            f"silent, a rule that has learnt nothing (docs/dashboard.md).",
            icon=":material/rule:",
        )


def source(*places: str) -> None:
    """Say under numbers where they come from."""
    st.caption(f"From {'; '.join(places)}.")


def model_name(record: Record) -> str:
    """Name what scores users: the version in Production, or the heuristic."""
    return f"version {record.production.number}" if record.production else NAME
