"""A real headless Chromium, and the dashboard on a free port: how tests look at pages."""

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
# Streamlit's own marks of a page that is all there.
STILL = "[data-testid=stApp][data-test-script-state=notRunning][data-test-connection-state=CONNECTED]"
BUSY = "[data-stale=true], [data-testid=stSkeleton], [data-testid=stSpinner]"
# Notes in the page that the script has begun to run, or has ended.
WATCH = """
window.hasRun = false;
new MutationObserver(() => {window.hasRun = true}).observe(
    document.querySelector("[data-testid=stApp]"), {attributeFilter: ["data-test-script-state"]}
);
"""


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
    """Serve a repository's dashboard, and give its address."""
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
    """Open one of the dashboard's pages, wait until it is drawn, and return its text."""
    page.goto(f"{address}/{name}")
    return settle(page)


def turn_to(page: Page, title: str) -> str:
    """Turn to another page by the menu, and return its text."""
    page.get_by_test_id("stPageLink").get_by_text(title, exact=True).click()
    page.get_by_role("heading", level=1, name=title).wait_for()
    return settle(page)


def rerun(page: Page, action: Callable[[], object]) -> str:
    """Do what makes Streamlit run the page again, wait until that is drawn, and return the text."""
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
        quiet = quiet + 1 if page.locator(STILL).count() and not page.locator(BUSY).count() else 0
    return page.get_by_test_id("stMain").inner_text()


def read_cells(page: Page) -> list[list[str]]:
    """Return the rows in sight of the page's first data grid, the header first, as a screen reader is told them."""
    grid = page.locator("table[role=grid]").first
    grid.locator("td").first.wait_for(state="attached")
    return [row.locator("th, td").all_inner_texts() for row in grid.locator("tr").all()]
