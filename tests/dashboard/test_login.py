"""The dashboard's login: nothing is shown without it, and passwords cannot be tried quickly."""

import pyarrow.parquet as pq
import pytest
from browser import open_browser, open_page, rerun, run_dashboard, settle, turn_to
from streamlit.testing.v1 import AppTest

from churn.dashboard.attempts import MAX_ADDRESSES, MAX_TRIES, SECONDS, Attempts

# The newest drop, as Markdown has it.
DROP = rb"\-03\-22"
PASSWORD = "contraseña: 'seis' $ palabras"


class Sent:
    """What the dashboard sends to a tab."""

    def __init__(self, page):
        self.content = b""
        page.on("websocket", lambda socket: socket.on("framereceived", self._add))

    def _add(self, frame):
        self.content += frame.encode() if isinstance(frame, str) else frame


def log_in(page, password):
    page.get_by_label("Password", exact=True).fill(password)
    return rerun(page, page.get_by_role("button", name="Log in").click)


def test_without_the_password_nothing_of_the_pages_is_sent(demo, tmp_path):
    users = pq.read_table(next((demo / "data/scores").glob("*/scores.parquet"))).column("user_id").to_pylist()
    log = tmp_path / "dashboard.log"
    with run_dashboard(demo, log, CHURN_DASHBOARD_PASSWORD=PASSWORD) as address, open_browser() as browser:
        page = browser.new_page()
        sent = Sent(page)
        for name in "", "scores", "one-user", "history":
            assert "Log in" in open_page(page, address, name)
            assert page.get_by_test_id("stDataFrame").count() == page.get_by_test_id("stPageLink").count() == 0
        assert "Wrong password" in log_in(page, "guess")
        assert b"Production" not in sent.content and DROP not in sent.content
        page.goto(f"{address}/scores")
        settle(page)
        log_in(page, PASSWORD)
        page.get_by_role("heading", level=1, name="Scores").wait_for()
        assert f"{len(users):,}" in settle(page) or str(len(users)) in settle(page)
        assert DROP in sent.content
        assert "Version 1 is in Production" in turn_to(page, "Overview")
        assert b"Production" in sent.content
        other = browser.new_page()
        assert "Log in" in open_page(other, address, "scores"), "each tab logs in for itself"
        # The server would believe a header that a program of this machine sends, and count each as another address.
        for number in range(MAX_TRIES):
            page = browser.new_context(extra_http_headers={"X-Forwarded-For": f"10.1.2.{number}"}).new_page()
            open_page(page, address)
            assert "Wrong password. " in log_in(page, "guess")
        assert f"After {MAX_TRIES} wrong passwords, wait a minute" in log_in(page, PASSWORD)
    printed = log.read_text()
    assert "Wrong password for the dashboard, from a proxy" in printed
    assert "Wrong password for the dashboard, from this machine" in printed and PASSWORD not in printed


def test_after_five_wrong_passwords_an_address_waits_a_minute():
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    assert [attempts.try_password("10.0.0.7", lambda: False) for _ in range(MAX_TRIES)] == [False] * MAX_TRIES
    # Not even the right one: a program that guesses learns nothing meanwhile.
    assert attempts.try_password("10.0.0.7", lambda: True) is None
    assert attempts.try_password("10.0.0.8", lambda: True) is True
    now[0] = SECONDS
    assert attempts.try_password("10.0.0.7", lambda: True) is True


def test_the_addresses_of_one_ipv6_network_count_as_one():
    attempts = Attempts(lambda: 0.0)
    for number in range(MAX_TRIES):
        assert attempts.try_password(f"fd00:77::{number}", lambda: False) is False
    assert attempts.try_password("fd00:77::ffff", lambda: True) is None
    assert attempts.try_password("fd00:78::1", lambda: True) is True
    assert attempts.try_password(None, lambda: True) is True


def test_attempts_from_many_addresses_do_not_fill_the_memory():
    attempts = Attempts(lambda: 0.0)
    for number in range(MAX_ADDRESSES + 100):
        attempts.try_password(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", lambda: False)
    assert len(attempts._wrong) == MAX_ADDRESSES


@pytest.mark.parametrize(
    ("address", "shown"), [(None, False), ("0.0.0.0", False), ("::", False), ("10.0.0.7", False), ("::1", True)]
)
def test_without_a_password_the_dashboard_is_for_this_machine_only(tmp_path, monkeypatch, address, shown):
    page = tmp_path / "page.py"
    page.write_text(
        "import streamlit as st\nfrom churn.dashboard.login import *\nif is_logged_in(): st.write('Secret')"
    )
    monkeypatch.delenv("CHURN_DASHBOARD_PASSWORD", raising=False)
    monkeypatch.setattr("churn.dashboard.login.st.get_option", lambda _: address)
    app = AppTest.from_file(str(page)).run()
    assert not app.exception and bool(app.markdown) is shown and bool(app.error) is not shown
