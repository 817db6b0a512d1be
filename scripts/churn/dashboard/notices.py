"""What pages say in words: MLflow does not answer, a rule scores instead of a model, where a number comes from."""

import re

import streamlit as st

from churn.dashboard.record import Record
from churn.release.registry import MODEL, PRODUCTION

MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~$<>:&-])")


def plain(text: object) -> str:
    """Return a text such that Streamlit shows it as it is: a reason may hold dollars, stars and brackets."""
    return MARKS.sub(r"\\\1", str(text))


def show_problem(record: Record) -> None:
    """Say that the registry does not answer; nothing when it does."""
    if record.problem:
        shown = "What is shown below comes from the files in this folder."
        st.error(f"**{plain(record.problem)}** {plain(record.mend)} {shown}")
        with st.expander("What MLflow said"):
            st.code(record.detail, language=None, wrap_lines=True)


def show_rule(record: Record) -> None:
    """Say that the local heuristic scores, and why; nothing when a model is in Production."""
    if record.production:
        return
    why = "MLflow cannot be read" if record.problem else f"no version of {MODEL} has the alias {PRODUCTION}"
    st.warning(
        f"**Local heuristic.** No model can be asked, because {why}: whoever is scored here now is scored by the days "
        "since the last payment alone, a rule that has learnt nothing (docs/dashboard.md).",
        icon=":material/rule:",
    )


def source(*places: str) -> None:
    """Say under numbers where they come from."""
    st.caption(f"From {plain('; '.join(places))}.")
