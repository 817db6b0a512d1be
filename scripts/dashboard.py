"""Show the model in Production, how good it is, and which users it expects to churn.

Reads
    the registry; metrics, reports, data/features, data/scores and the published drift reports of this repository; .env
Writes
    nothing
Start it with `make dashboard`, or in the folder of the repository with `streamlit run scripts/dashboard.py`.
"""

import logging
import os
from functools import partial

import streamlit as st

from churn.base.addresses import hide_logins
from churn.base.command import UserError, load_environment
from churn.dashboard.cards import set_style
from churn.dashboard.login import is_logged_in
from churn.dashboard.notices import plain, show_problem
from churn.dashboard.pages import drift, explanation, history, one_user, overview, scores
from churn.dashboard.record import Record, read_record

# Embedded: for a named icon, the browser would contact Google.
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
    """Show the page that the user opened."""
    st.set_page_config(page_title="Churn", page_icon=ICON, layout="wide")
    set_style()
    addresses = {title: title.lower().replace(" ", "-") for title in PAGES}
    pages = [
        st.Page(partial(draw, title), title=title, url_path=address, default=title == "Overview")
        for title, address in addresses.items()
    ]
    page = st.navigation(pages, position="hidden")
    if not is_logged_in():
        return
    # Links that wrap, because Streamlit's own menu is hidden on a phone.
    with st.container(horizontal=True, gap="xsmall", key="menu"):
        for link in pages:
            st.page_link(link, width="content")
    page.run()


def draw(title: str) -> None:
    """Show a page; an error becomes one sentence on it."""
    st.title(title, anchor=False)
    record = current_record(title)
    try:
        show_problem(record)
        PAGES[title](record)
    except UserError as error:
        st.error(plain(error))
    # A damaged file or a server of another release may raise anything; the page reports it and stays usable.
    except Exception as error:
        logging.getLogger("churn").exception("Error on the page %s", title)
        reason = hide_logins(f"{type(error).__name__}: {error}".splitlines()[0])
        st.error(
            f"The rest of this page cannot be shown ({plain(reason)}). See the terminal of the dashboard for details."
        )


def current_record(title: str) -> Record:
    """Return the state of the registry, read when a page is opened or reloaded, but not at every click."""
    if st.session_state.get("page") != title:
        with st.spinner("Reading MLflow ..."):
            st.session_state["record"] = read_record()
        st.session_state["page"] = title
    record: Record = st.session_state["record"]
    return record


if __name__ == "__main__":
    try:
        load_environment()
    except UserError as error:
        st.error(plain(error))
        st.stop()
    # Report soon that MLflow is down: two attempts of at most 8 seconds.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "8")
    main()
