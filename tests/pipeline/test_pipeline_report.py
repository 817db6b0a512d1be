"""Snakemake's report has every figure and table of a run, with captions, and opens offline."""

import base64
import re

import pytest
from browser import WIDE, open_browser
from conftest import ROOT, run

CATEGORIES = {
    "Data": ["build_features", "build_training_set", "build_user_base", "clean_payments", "measure_drift"],
    "Drift": ["history", "measures and alarms"],
    "Explanation": ["mean_abs_shap", "shap_summary"],
    "Model": [
        *("calibration", "gains", "grid", "metrics of training", "model card", "precision_recall", "roc"),
        *("score_distribution", "segments"),
    ],
    "Release": ["decision and gates", "scores of"],
}


@pytest.fixture
def page(demo_copy):
    # What `make report` runs.
    said = run("python", "scripts", "report", cwd=demo_copy)
    assert "Missing metadata" not in said.stderr and "No files found" not in said.stderr
    check_no_rows(demo_copy)
    rehearsal = run("snakemake", "-n", cwd=demo_copy)
    assert "Nothing to be done" in rehearsal.stdout + rehearsal.stderr, "a report makes nothing stale"
    with open_browser() as browser:
        page = browser.new_context(offline=True, viewport=WIDE).new_page()
        page.goto((demo_copy / "reports/pipeline_report.html").as_uri())
        yield page


def check_no_rows(repository):
    """The page has how many users were scored, but no score of a user."""
    text = (repository / "reports/pipeline_report.html").read_text()
    inside = b"".join(map(base64.b64decode, re.findall(r"base64,([A-Za-z0-9+/]+=*)", text))) + text.encode()
    header, first, *_ = next((repository / "data/scores").rglob("scores.csv")).read_bytes().splitlines()
    assert b'"mean_probability"' in inside
    assert header not in inside and first not in inside


def test_the_report_has_every_figure_and_table_with_its_caption(page):
    command = (ROOT / "Makefile").read_text()
    assert "python scripts report\n" in command
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    for category, entries in CATEGORIES.items():
        page.get_by_text(category, exact=True).first.click()
        for entry in entries:
            page.get_by_text(entry).first.wait_for()
        if category == "Model":
            row = page.locator("tr", has_text="roc").last
            row.locator("a, button").first.click()
            page.locator("img").last.wait_for()
            assert page.locator("img").last.evaluate("image => image.naturalWidth") > 300
            row.locator("a, button").last.click()
            page.get_by_text("ROC curve of the model and of a baseline").wait_for()
        page.reload()
    assert errors == []
