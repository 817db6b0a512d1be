"""Show what is in Production, how good it is, and whom it expects to leave.

Reads
    the registry; metrics, reports, data/features, data/scores and the published drift reports of this repository; .env
Writes
    nothing: start it with `make dashboard`, or in the repository's folder `streamlit run scripts/dashboard.py`
"""

import logging
import os
from functools import partial
from pathlib import Path

import streamlit as st
from dotenv import load_dotenv

from churn.base.command import UserError
from churn.dashboard.cards import set_style
from churn.dashboard.notices import plain, show_problem
from churn.dashboard.pages import drift, explanation, history, one_user, overview, scores
from churn.dashboard.record import Record, read_record

# Drawn here: for a named icon the browser would ask Google.
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#1b6b72"/>'
    '<path d="M3 11l3.5-4 2.5 2.5L13 5" fill="none" stroke="#fff" stroke-width="1.8"/></svg>'
)
PAGES = {
    "Overview": overview.show,
    "History": history.show,
    "Explanation": explanation.show,
    "Drift": drift.show,
    "Scores": scores.show,
    "One user": one_user.show,
}


def main() -> None:
    """Draw the page that is asked for."""
    st.set_page_config(page_title="Churn", page_icon=ICON, layout="wide")
    set_style()
    addresses = {title: title.lower().replace(" ", "-") for title in PAGES}
    pages = [
        st.Page(partial(draw, title), title=title, url_path=address, default=title == "Overview")
        for title, address in addresses.items()
    ]
    page = st.navigation(pages, position="hidden")
    # Links that wrap: Streamlit's own menu hides on a phone.
    with st.container(horizontal=True, gap="xsmall", key="menu"):
        for link in pages:
            st.page_link(link, width="content")
    page.run()


def draw(title: str) -> None:
    """Draw a page; whatever goes wrong on it is one sentence there."""
    st.title(title, anchor=False)
    record = current_record(title)
    try:
        show_problem(record)
        PAGES[title](record)
    except UserError as error:
        st.error(plain(error))
    # Whatever a damaged file or a server of another release may raise: the page stays up and says it.
    except Exception as error:
        logging.getLogger("churn").exception("The page %s", title)
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        st.error(
            f"The rest of this page cannot be shown ({plain(reason)}). The terminal of the dashboard has the details."
        )


def current_record(title: str) -> Record:
    """Return what the registry says: asked when a page is opened or loaded again, not at every click on it."""
    if st.session_state.get("page") != title:
        with st.spinner("Asking MLflow ..."):
            st.session_state["record"] = read_record()
        st.session_state["page"] = title
    return st.session_state["record"]


if __name__ == "__main__":
    load_dotenv(Path(".env"))
    # A page that waits is worse than one that says that MLflow is down: at most twice so many seconds.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "8")
    main()
