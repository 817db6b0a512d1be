"""In no page that is made does a script run that came with the data, a branch, a file's name or a commit."""

import json
import re
from pathlib import Path

import pytest
from browser import WIDE, open_browser, open_page, run_dashboard, turn_to
from conftest import make_once, run
from dvc_render.vega import VegaRenderer
from markdown_it import MarkdownIt
from planted import BRANCH, IMAGE, PLANTED, SCRIPT, TITLE, make_planted

from churn.drift.report import build_page
from dashboard import PAGES
from tools.plots import PAGE, allow_scripts, read_libraries
from write_model_card import write_model_card

pytestmark = pytest.mark.slow
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; script-src ')
# The charts that have a size.
DRAWN = "[...document.querySelectorAll('canvas.marks, svg.marks')].filter(chart => chart.width > 0)"
METRICS = {
    **{"current_drop": "2026-03-22", "reference_drops": [], "current_rows": 1, "sampled_part": 1, "alarms": [IMAGE]},
    **{"reason": SCRIPT, "as_of_date": "2026-03-22", "churn_rates": {"2026-02-01": 0.1, "2026-03-22": 0.2}},
    **{"target_drifted": False, "churn_rate": 0.2, "churn_rate_before": 0.1},
}


@pytest.fixture(scope="module")
def planted(demo, tmp_path_factory) -> Path:
    return make_once(tmp_path_factory, "planted", lambda folder: make_planted(demo, folder))


@pytest.fixture(scope="module")
def browser():
    with open_browser() as opened:
        yield opened


@pytest.fixture
def tab(browser):
    """A tab without a network; afterwards, nothing planted has run, nor been kept from running only by the policy."""
    page = browser.new_context(offline=True, viewport=WIDE).new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    page.wait_for_timeout(500)
    assert TITLE not in {frame.title() for frame in page.frames}
    assert not [text for text in said if "Content Security Policy" in text or "Error" in text]
    page.context.close()


def open_file(tab, path: Path) -> str:
    """Open a page, whose head begins with a policy, and return its text."""
    head = path.read_text(encoding="utf-8")[:2_000]
    assert POLICY.search(head) and head.index("<meta http-equiv") < (head + "<script").index("<script")
    tab.goto(path.as_uri())
    return tab.inner_text("body")


def test_the_drift_report_and_its_published_copy(planted, tab):
    (page,) = (planted / "reports/drift").glob("*.html")
    assert (planted / "drift-reports" / page.name).read_bytes() == page.read_bytes()
    text = open_file(tab, page)
    assert f"document.title='{TITLE}'" in text, "the value is shown"
    tab.get_by_text("Dataset Drift is").wait_for()
    assert tab.locator("canvas, svg").count() > 10
    assert tab.locator("img").evaluate_all("images => images.every(image => image.naturalWidth > 300)")


def test_a_comparison_of_revisions(planted, tab, tmp_path):
    run("python", "scripts", "compare", "main", "--head", BRANCH, "--output", tmp_path, cwd=planted)
    open_file(tab, tmp_path / "report.html")
    # The long tables are folded.
    text = tab.locator("body").text_content()
    assert SCRIPT in text and f"{IMAGE}.py" in text and f"Comparison of {BRANCH} with main" in text
    assert tab.locator("img").evaluate_all("images => images.every(image => image.naturalWidth > 300)")
    # Rendered as Markdown with HTML, which is less careful than GitHub.
    show_markdown(tab, (tmp_path / "report.md").read_text())
    assert SCRIPT in tab.locator("body").text_content()


def test_the_plots_of_revisions(planted, tab, tmp_path):
    run("python", "scripts", "plots", "main", "--output", tmp_path, cwd=planted)
    open_file(tab, tmp_path / "index.html")
    tab.wait_for_function(f"({DRAWN}).length >= 5")


def test_the_names_in_a_plot(tab, tmp_path):
    """DVC writes a chart's data into its script as they are."""
    rows = [{"segment": name, "roc_auc": 0.5} for name in PLANTED]
    axes = {"y": {"field": "segment", "type": "nominal"}, "x": {"field": "roc_auc", "type": "quantitative"}}
    spec = {"data": {"values": rows}, "mark": "bar", "encoding": axes, "title": SCRIPT}
    chart = VegaRenderer.DIV.format(id="chart", partial=json.dumps(spec))
    page = PAGE.format(scripts=read_libraries()).replace("{plot_divs}", chart)
    assert page.count("</script><script>document") == 2
    (tmp_path / "index.html").write_text(allow_scripts(page))
    open_file(tab, tmp_path / "index.html")
    tab.wait_for_function(f"({DRAWN}).length == 1")


def test_the_report_of_the_run(planted, tab, tmp_path):
    run("python", "scripts", "report", "--output", tmp_path / "report.html", cwd=planted)
    open_file(tab, tmp_path / "report.html")
    tab.get_by_text("Statistics", exact=True).click()
    tab.locator("canvas, svg.marks").first.wait_for()


def test_the_model_card(planted, tab, tmp_path):
    segments = json.loads((planted / "plots/train_model/segments.json").read_text())
    for segment, name in zip(segments, PLANTED, strict=False):
        segment["segment"] = name
    (tmp_path / "segments.json").write_text(json.dumps(segments))
    metrics = [planted / f"metrics/{name}.json" for name in ("build_training_set", "train_model")]
    shap, params = planted / "reports/explainability/mean_abs_shap.json", {"strongest_features": 3}
    write_model_card(*metrics, tmp_path / "segments.json", shap, tmp_path / "card.md", params)
    show_markdown(tab, (tmp_path / "card.md").read_text())
    shown = tab.inner_text("body")
    assert all(name in shown for name in PLANTED)


def test_the_dashboard_and_the_report_in_its_frame(planted, browser, tmp_path):
    with run_dashboard(planted, tmp_path / "log") as address, browser.new_context(viewport=WIDE) as context:
        page = context.new_page()
        open_page(page, address)
        for title in PAGES:
            text = turn_to(page, title)
            assert TITLE not in {frame.title() for frame in page.frames}, title
            if title == "Drift":
                assert f"document.title='{TITLE}'" in text
                report = page.frame_locator("iframe").frame_locator("iframe")
                report.get_by_text("Dataset Drift is").wait_for()
                (inner,) = [frame for frame in page.frames if frame.parent_frame and frame.parent_frame.parent_frame]
                assert inner.evaluate(REACH) == "SecurityError", "its scripts do not reach the dashboard"


# What a script in the frame would try.
REACH = "() => { try { return top.document.title } catch (error) { return error.name } }"


def test_the_policy_stops_what_was_not_escaped(browser, tmp_path, monkeypatch):
    monkeypatch.setattr("churn.drift.report.escape_html", str)
    (tmp_path / "page.html").write_text(build_page(METRICS, {"columns": []}, [], None))
    assert SCRIPT in (tmp_path / "page.html").read_text()
    tab, said = browser.new_context(viewport=WIDE).new_page(), []
    tab.on("console", lambda message: said.append(message.text))
    tab.goto((tmp_path / "page.html").as_uri())
    tab.wait_for_timeout(500)
    assert tab.title() == "Drift of 2026-03-22"
    assert sum("inline" in text and "Content Security Policy" in text for text in said) == 2
    tab.context.close()


def show_markdown(tab, text: str) -> None:
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    tab.set_content(f"<title>Markdown</title>{rendered}")
    assert not tab.locator("a[href^=javascript], script, svg, img").count()
