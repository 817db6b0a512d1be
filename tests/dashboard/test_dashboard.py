import contextlib
import csv
import json
import shutil
import sys
import time

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from browser import NARROW, WIDE, open_browser, open_page, read_cells, rerun, run_dashboard, settle, turn_to
from conftest import ROOT, free_port, run
from demo_pipeline import read, registry
from text_ids import with_text_ids, write_text_ids

PAGES = ("Overview", "History", "Explanation", "Drift", "Scores", "One user")
DROP = "2026-03-22"


@pytest.fixture(scope="module")
def page():
    """One tab for all tests; it fails them if it sends a request to another machine or has an error."""
    foreign, errors = [], []
    with open_browser() as browser:
        page = browser.new_page(viewport=WIDE)
        page.set_default_timeout(20_000)
        page.on("request", lambda request: foreign.append(request.url) if is_foreign(request.url) else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
    assert not foreign and not errors, (foreign, errors)


def is_foreign(url):
    return not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:", "about:"))


@pytest.fixture(scope="module")
def repository(demo, tmp_path_factory):
    """A copy of the small demo; a test that changes it restores it."""
    return shutil.copytree(demo, tmp_path_factory.mktemp("dashboard") / "repository", symlinks=True)


@pytest.fixture(scope="module")
def dashboard(repository):
    """The dashboard of a repository in which everything has run, on the embedded store."""
    log = repository.parent / "dashboard.log"
    with run_dashboard(repository, log) as address:
        yield address
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture
def tab(dashboard, page):
    """The tab on that dashboard, on whichever page the previous test left open."""
    if not page.url.startswith(dashboard):
        open_page(page, dashboard)
    return page


def scores(repository):
    return pq.read_table(repository / f"data/scores/{DROP}/scores.parquet")


def fill(page, label, text):
    box = page.get_by_label(label, exact=True)
    box.fill(text)
    return rerun(page, lambda: box.press("Enter"))


def score(page):
    return rerun(page, page.get_by_role("button", name="Score this user").click)


def test_overview_shows_what_is_in_production_and_why(repository, tab):
    text, trained = turn_to(tab, "Overview"), read(repository, "metrics/train_model.json")
    drift, promoted = (
        read(repository, "metrics/detect_drift.json"),
        read(repository, "reports/release/promote_model.json"),
    )
    assert "Version 1 is in Production" in text
    assert promoted["reason"] in text
    assert f"{trained['roc_auc']:.4f}" in text
    assert f"95% interval {trained['roc_auc_low']:.4f} to {trained['roc_auc_high']:.4f}" in text
    assert f"{drift['drift_share']:.0%}" in text and f"not detected in {DROP}" in text
    assert f"{trained['train_rows']} rows as of" in text
    client = registry(repository)
    run = client.get_run(client.get_model_version("churn-model", "1").run_id)
    assert run.data.tags["git_commit"][:10] in text
    assert "sqlite:///mlflow.db" in text
    assert "ocal heuristic" not in text
    assert tab.get_by_test_id("stVegaLiteChart").count() == 1
    assert tab.get_by_text("Deploy").count() == 0


def test_history_shows_every_version_and_the_ledger(repository, tab):
    text = turn_to(tab, "History")
    assert "Ledger" in text and "holdout" in text
    header, row = read_cells(tab)
    assert row[header.index("version")] == "1"
    assert row[header.index("state")] == "in Production"
    assert float(row[header.index("ROC AUC")]) == pytest.approx(
        read(repository, "metrics/train_model.json")["roc_auc"], abs=1e-4
    )


@contextlib.contextmanager
def replaced(path, text):
    """Replace the content of a file during the block, and yield the original."""
    before = path.read_text()
    try:
        path.write_text(text)
        yield before
    finally:
        path.write_text(before)


def test_explanation_shows_the_version_in_production(repository, tab):
    # The file of the newest candidate, which must not be used.
    with replaced(repository / "reports/explainability/mean_abs_shap.json", '{"age": 1.0}') as before:
        text = turn_to(tab, "Explanation")
    assert "artifacts of version 1" in text
    assert tab.get_by_test_id("stImage").locator("img").evaluate("image => image.naturalWidth") > 500
    shap = json.loads(before)
    assert [row[0] for row in read_cells(tab)[1:4]] == sorted(shap, key=lambda name: -shap[name])[:3]


def test_drift_report_is_inside_the_page(tab):
    text = turn_to(tab, "Drift")
    assert "not detected" in text and f"drift-reports/{DROP}.html" in text
    report = tab.frame_locator("iframe").first.frame_locator("iframe")
    report.get_by_text(f"Drift of {DROP}").wait_for()
    report.get_by_text("Dataset Drift is NOT detected").wait_for()


def test_scores_are_sorted_filtered_and_downloaded(repository, tab, tmp_path):
    table = scores(repository)
    text = turn_to(tab, "Scores")
    assert f"of {len(table)}" in text and "version 1" in text
    shown = [float(row[1]) for row in read_cells(tab)[1:]]
    assert shown == sorted(shown, reverse=True) and shown[0] == pytest.approx(
        pc.max(table["churn_probability"]).as_py()
    )
    # The header of the first column.
    tab.locator(".stDataFrameGlideDataEditor").first.click(position={"x": 20, "y": 15})
    settle(tab)
    assert [int(row[0]) for row in read_cells(tab)[1:4]] == sorted(table["user_id"].to_pylist())[:3]
    limit = read(repository, "metrics/train_model.json")["threshold"]
    text = rerun(tab, tab.get_by_text("Only flagged").click)
    flagged = int(pc.sum(pc.greater_equal(table["churn_probability"], limit)).as_py())
    assert f"{flagged}\nof {len(table)}" in text
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download these users as CSV").click()
    download.value.save_as(tmp_path / "users.csv")
    with (tmp_path / "users.csv").open() as file:
        users = list(csv.DictReader(file))
    assert len(users) == flagged and all(float(user["churn_probability"]) >= limit for user in users)
    assert f"1\nof {len(table)}" in fill(tab, "User id", users[-1]["user_id"])


def test_form_scores_one_user_with_the_reasons(repository, tab):
    user = scores(repository).slice(7, 1).to_pylist()[0]
    text = turn_to(tab, "One user")
    assert "medians" in text
    features = read(repository, "metrics/train_model.json")["features"]
    assert sorted(
        tab.locator("form, [data-testid=stForm]")
        .first.get_by_role("spinbutton")
        .evaluate_all("inputs => inputs.map(input => input.getAttribute('aria-label'))")
    ) == sorted(features)
    assert f"user {user['user_id']}" in fill(tab, "Start from a user", str(user["user_id"]))
    text = score(tab)
    assert f"{user['churn_probability']:.1%}" in text
    reasons = tab.get_by_test_id("stTable").locator("tbody tr").first.locator("td").all_inner_texts()
    assert reasons[0] == user["reason_1"] and float(reasons[2]) == pytest.approx(user["push_1"], abs=1e-4)
    tab.get_by_label(user["reason_1"], exact=True).fill("")
    text = score(tab)
    assert "unknown" in text and f"{user['churn_probability']:.1%}" not in text


def test_form_reports_an_unknown_user(tab):
    turn_to(tab, "One user")
    assert "User 17_x* is not in data/features" in fill(tab, "Start from a user", "17_x*")


def test_users_with_text_ids_are_scored_and_found(repository, page, tmp_path):
    text = shutil.copytree(repository, tmp_path / "repository", symlinks=True)
    features, target = (text / f"data/{name}/{DROP}" for name in ("features", "scores"))
    write_text_ids(features / "churn_features.parquet", features / "churn_features.parquet")
    paths = (
        *("--features", features / "churn_features.parquet", "--scores", target / "scores.parquet"),
        *("--meaning", f"metrics/build_features/{DROP}.json", "--drops", "data/drops.yaml", "--receipt", "scores.json"),
    )
    run(sys.executable, ROOT / "scripts/score_users.py", *paths, cwd=text)
    # The decile of users with the same probability depends on the order of the rows.
    found, expected = scores(text).drop_columns("decile"), with_text_ids(scores(repository)).sort_by("user_id")
    assert found.equals(expected.drop_columns("decile"))
    user = next(user for user in found.to_pylist() if user["user_id"].startswith("0"))
    with run_dashboard(text, tmp_path / "dashboard.log") as dashboard:
        open_page(page, dashboard)
        turn_to(page, "Scores")
        assert f"1\nof {len(found)}" in fill(page, "User id", user["user_id"])
        assert read_cells(page)[1][0] == user["user_id"]
        assert f"0\nof {len(found)}" in fill(page, "User id", user["user_id"].lstrip("0"))
        turn_to(page, "One user")
        assert f"features of user {user['user_id']}" in fill(page, "Start from a user", user["user_id"])
        assert f"{user['churn_probability']:.1%}" in score(page)
    assert "Traceback" not in (tmp_path / "dashboard.log").read_text()


def test_promotion_shows_when_the_page_is_loaded_again(dashboard, repository, page):
    client = registry(repository)
    first = client.get_model_version("churn-model", "1")
    assert "Version 1 is in Production" in open_page(page, dashboard)
    second = client.create_model_version("churn-model", first.source, first.run_id)
    try:
        client.set_registered_model_alias("churn-model", "production", second.version)
        text = open_page(page, dashboard)
        assert f"Version {second.version} is in Production" in text and "moved by hand" in text
        text = turn_to(page, "Scores")
        assert f"version {second.version} is in Production" in text and "Score the users again: make run" in text
    finally:
        client.set_registered_model_alias("churn-model", "production", "1")
        client.delete_model_version("churn-model", second.version)


def test_without_production_the_local_heuristic_scores(dashboard, repository, page):
    client = registry(repository)
    client.delete_registered_model_alias("churn-model", "production")
    try:
        text = open_page(page, dashboard)
        assert "Local heuristic." in text and "has since been removed" in text
        text = turn_to(page, "Scores")
        assert "Local heuristic." in text and "scored by the local heuristic" in text
        features = pq.read_table(repository / f"data/features/{DROP}/churn_features.parquet")
        longest = pc.max(features["days_since_last_payment"]).as_py()
        assert float(read_cells(page)[1][1]) == pytest.approx(longest / (longest + 30))
        turn_to(page, "One user")
        page.get_by_label("days_since_last_payment", exact=True).fill("30")
        text = score(page)
        assert "50.0%" in text and "by the local heuristic" in text and "days / (days + 30)" in text
    finally:
        client.set_registered_model_alias("churn-model", "production", "1")


def test_narrow_window_does_not_scroll_sideways(tab):
    tab.set_viewport_size(NARROW)
    for title in PAGES:
        turn_to(tab, title)
        places = "['html', '[data-testid=stMain]']"
        widths = tab.evaluate(f"{places}.map(place => document.querySelector(place).scrollWidth)")
        assert widths == [NARROW["width"]] * 2, title
    tab.set_viewport_size(WIDE)


def test_damaged_file_is_one_sentence(repository, tab):
    with replaced(repository / "metrics/detect_drift.json", "{"):
        text = turn_to(tab, "Drift")
    assert "metrics/detect_drift.json is damaged" in text and "Traceback" not in text


def test_while_mlflow_is_down_the_files_are_shown(repository, page, tmp_path):
    address = f"http://127.0.0.1:{free_port()}"
    # The file that make up leaves.
    (repository / ".env").write_text(f"MLFLOW_TRACKING_URI={address}\n")
    try:
        with run_dashboard(repository, tmp_path / "dashboard.log", PYTHON_DOTENV_DISABLED="0") as dashboard:
            begin = time.monotonic()
            text = open_page(page, dashboard)
            assert time.monotonic() - begin < 30
            assert f"MLflow at {address} is down" in text and "MLFLOW_TRACKING_URI in .env" in text
            assert "Local heuristic." in text and "version 1 was in Production" in text
            assert "when MLflow answers" in turn_to(page, "History")
            assert "may not be in Production" in turn_to(page, "Explanation")
            assert "not detected" in turn_to(page, "Drift")
            assert "scored by version 1" in turn_to(page, "Scores")
            turn_to(page, "One user")
            assert "by the local heuristic" in score(page)
    finally:
        (repository / ".env").unlink()
    assert "Traceback" not in (tmp_path / "dashboard.log").read_text()


def test_before_the_first_run_each_page_says_what_to_run(demo_repository, page, tmp_path):
    empty = shutil.copytree(demo_repository, tmp_path / "empty", symlinks=True)
    (empty / "data" / "drops.yaml").unlink()
    with run_dashboard(empty, tmp_path / "dashboard.log") as dashboard:
        open_page(page, dashboard)
        texts = {title: turn_to(page, title) for title in PAGES}
        assert "needs days_since_last_payment" in score(page)
    assert "has no version yet" in texts["Overview"] and "not measured" in texts["Overview"]
    assert all("make run" in texts[title] for title in PAGES[:-1])
    assert "no features yet" in texts["One user"]
    assert not (empty / "mlflow.db").exists()
    assert "Traceback" not in (tmp_path / "dashboard.log").read_text()
