"""Open pages of the dashboard in a real headless Chromium."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from conftest import ENVIRONMENT, free_port
from mlflow_server import answers
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# How Streamlit marks a page that is drawn completely.
DONE = "[data-testid=stApp][data-test-script-state=notRunning][data-test-connection-state=CONNECTED]"
BUSY = "[data-stale=true], [data-testid=stSkeleton], [data-testid=stSpinner]"
# Sets window.hasRun when the server answers what the page sends next. The state that the page shows is no sign of it:
# if the machine is busy, the start and the end of a run are drawn at once.
WATCH = """() => {
    window.hasRun = false;
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (...sent) {
        WebSocket.prototype.send = send;
        this.addEventListener("message", () => {window.hasRun = true}, {once: true});
        return send.apply(this, sent);
    };
}"""


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Start the system's Chromium."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, f"None of {', '.join(NAMES)} is installed; on Debian and Ubuntu: apt-get install -y chromium"
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=options)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def run_dashboard(repository: Path, log: Path, **environment: str) -> Iterator[str]:
    """Serve the dashboard of a repository, and yield its address."""
    port = free_port()
    options = ("--server.address", "127.0.0.1", "--server.port", str(port), "--server.headless", "true")
    command = [sys.executable, "-m", "streamlit", "run", "scripts/dashboard.py", *options]
    with log.open("w") as file:
        server = subprocess.Popen(
            command, cwd=repository, env=ENVIRONMENT | environment, stdout=file, stderr=file, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}/_stcore/health"):
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def open_page(page: Page, address: str, name: str = "") -> str:
    """Open a page of the dashboard, wait until it is drawn, and return its text."""
    page.goto(f"{address}/{name}")
    return settle(page)


def turn_to(page: Page, title: str) -> str:
    """Go to another page by the menu, and return its text."""
    page.get_by_test_id("stPageLink").get_by_text(title, exact=True).click()
    page.get_by_role("heading", level=1, name=title).wait_for()
    return settle(page)


def rerun(page: Page, action: Callable[[], object]) -> str:
    """Do an action that makes Streamlit rerun the page, wait until it is drawn, and return its text."""
    page.evaluate(WATCH)
    action()
    page.wait_for_function("window.hasRun")
    return settle(page)


def settle(page: Page) -> str:
    """Wait until the page is drawn, and return its text."""
    page.get_by_test_id("stMainBlockContainer").get_by_role("heading", level=1).wait_for(timeout=30_000)
    quiet = 0
    while quiet < 3:
        page.wait_for_timeout(100)
        quiet = quiet + 1 if page.locator(DONE).count() and not page.locator(BUSY).count() else 0
    return page.get_by_test_id("stMain").inner_text()


def read_cells(page: Page) -> list[list[str]]:
    """Return the visible rows of the first data grid, header first, from the table for screen readers."""
    grid = page.locator("table[role=grid]").first
    grid.locator("td").first.wait_for(state="attached")
    return [row.locator("th, td").all_inner_texts() for row in grid.locator("tr").all()]
