"""Ask for the dashboard's password, before anything is read or shown."""

import hmac
import ipaddress
import logging
import os

import streamlit as st

from churn.dashboard.attempts import MAX_TRIES, Attempts
from churn.dashboard.notices import plain

VARIABLE = "CHURN_DASHBOARD_PASSWORD"
KEY = "logged in"
# All who come through one have the same address.
PROXY = "a proxy"
# What a session has once its user is logged in. No browser can send this very object.
_LOGGED_IN = object()
_ATTEMPTS = Attempts()


def is_logged_in() -> bool:
    """Return whether this session may see the pages; if not, show the login form, or why there is none."""
    password = os.environ.get(VARIABLE, "")
    if not password:
        if _is_open():
            st.title("Closed", anchor=False)
            st.error(plain(f"Other machines can reach this dashboard, so it needs a password: set {VARIABLE} in .env."))
            return False
        return True
    if st.session_state.get(KEY) is _LOGGED_IN:
        return True
    st.title("Log in", anchor=False)
    with st.form("login", width=420):
        tried = st.text_input("Password", type="password")
        sent = st.form_submit_button("Log in")
    if sent and _is_right(tried, password):
        st.session_state[KEY] = _LOGGED_IN
        st.rerun()
    return False


def _is_right(tried: str, password: str) -> bool:
    address = _client()
    right = _ATTEMPTS.try_password(address, lambda: hmac.compare_digest(tried.encode(), password.encode()))
    if right is None:
        st.error(f"After {MAX_TRIES} wrong passwords, wait a minute.")
    elif not right:
        logging.getLogger("churn").warning("Wrong password for the dashboard, from %s", address or "this machine")
        st.error(plain(f"Wrong password. It is {VARIABLE} in .env on the server."))
    return bool(right)


def _client() -> str | None:
    """Return the address that a user connects from; None for this machine."""
    # The server believes this header if it comes from this machine, where anyone can send another one with each try.
    return PROXY if "X-Forwarded-For" in st.context.headers else st.context.ip_address


def _is_open() -> bool:
    """Return whether Streamlit listens on more than this machine."""
    address = st.get_option("server.address")
    try:
        return not (address == "localhost" or ipaddress.ip_address(address).is_loopback)
    except ValueError:
        return True
