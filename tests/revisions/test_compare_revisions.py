"""Two revisions compared: what changed, and whether the model is better, for the same users."""

import json
import re
import shutil
import statistics

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest
import yaml
from browser import NARROW, WIDE, open_browser
from conftest import run
from two_models import PAYING, commit, edit, newest_drop

from churn.revisions.pages import LONGEST, Section, Table, write_markdown

pytestmark = pytest.mark.slow
LEFT_OUT = "train_model.leave_out"
HOLDOUT = "data/training/holdout.parquet"


def compare(repository, *arguments, **options):
    return run("python", "scripts", "compare", *arguments, cwd=repository, **options)


def report(repository, folder, *arguments):
    compare(repository, *arguments, "--output", folder)
    # What Markdown escapes, a reader sees without its backslash.
    return re.sub(r"\\(?=[^\w\s])", "", (folder / "report.md").read_text())


@pytest.fixture(scope="module")
def history(two_models):
    """The demo committed as the branch main; on it a branch with a worse model, a broken row and a line of code."""
    return two_models


@pytest.fixture
def repository(history, tmp_path):
    return shutil.copytree(history, tmp_path / "repository", symlinks=True)


def score(scorer, rows):
    """Score with ONNX itself."""
    session = onnxruntime.InferenceSession(scorer)
    inputs = {one.name: rows[one.name].to_numpy().astype(float).reshape(-1, 1) for one in session.get_inputs()}
    return session.run(["churn_probability"], inputs)[0].astype(float)


def delong(label, score, other):
    """DeLong's interval by the definition: every churned user beside every other one."""
    parts = []
    for probability in (score, other):
        churned, stayed = probability[label == 1], probability[label == 0]
        above = (churned[:, None] > stayed) + 0.5 * (churned[:, None] == stayed)
        parts.append((above.mean(axis=1), above.mean(axis=0)))
    (one, one_stayed), (two, two_stayed) = parts
    gain = one.mean() - two.mean()
    variance = np.var(one - two, ddof=1) / len(one) + np.var(one_stayed - two_stayed, ddof=1) / len(one_stayed)
    half = statistics.NormalDist().inv_cdf(0.975) * np.sqrt(variance)
    return one.mean(), two.mean(), gain, gain - half, gain + half


def test_the_report_shows_what_changed_and_how_good_both_models_are_for_the_same_users(history, tmp_path):
    text = report(history, tmp_path / "report", "main", "--head", "less")
    rows = pq.read_table(history / HOLDOUT).to_pandas()
    scorer = "models/candidate/scorer.onnx"
    run("dvc", "get", "--rev", "main", history, scorer, "--out", tmp_path / "main.onnx", cwd=tmp_path)
    now, then = score(history / scorer, rows), score(tmp_path / "main.onnx", rows)
    one, two, gain, low, high = delong(rows["label"].to_numpy(), now, then)
    assert high < 0 and "**less is worse than main.**" in text
    assert f"the ROC AUC of less is {one:.4f} and that of main {two:.4f}: a difference of {gain:+.4f}" in text
    assert f"(95% interval {low:+.4f} to {high:+.4f}, DeLong's paired test)" in text
    metrics = json.loads((history / "metrics/train_model.json").read_text())
    assert f"{metrics['roc_auc']:.4f} ({metrics['roc_auc_low']:.4f} to {metrics['roc_auc_high']:.4f})" in text

    drop = newest_drop(history)
    counts = json.loads((history / f"metrics/clean_payments/{drop}.json").read_text())["PAYMENTS.csv"]
    assert f"| {drop} | its files changed |" in text
    come, rejected = (f"{counts[name] - 1:,} → {counts[name]:,}" for name in ("rows_in", "rejected"))
    assert f"| {drop} | PAYMENTS.csv | {come} | {counts['kept']:,} | {rejected} | FECHA is not a date" in text
    assert f"| {LEFT_OUT} | none | {', '.join(PAYING)} |" in text
    assert set(re.search(r"Features no longer used: (.*)\.$", text, re.M)[1].split(", ")) == set(PAYING)
    assert "| scripts/tools/ledger.py | +1 | -0 |" in text
    subjects = re.findall(r"^\| [0-9a-f]{7} \| (.*) \|$", text, re.M)
    assert subjects == ["Code of `no` <b>stage</b>", "A model without dates"]
    titles = re.findall(r"^## (.*)", text, re.M)
    assert titles == ["Data", "Parameters", "Code", "Metrics", "Plots", "Drift"]
    assert "](" not in text and "<img" not in text, "a comment on a pull request has no pictures"


def test_the_page_opens_offline_and_has_the_same_bytes_each_time(history, tmp_path):
    for folder in "one", "two":
        compare(history, "main", "--head", "less", "--output", tmp_path / folder)
    for name in "report.md", "report.html":
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    text = (tmp_path / "one" / "report.html").read_text()
    assert not re.search(r"<script|<link|url\(|(src|href)=.?http", text)
    with open_browser() as browser:
        page = browser.new_context(offline=True, viewport=WIDE).new_page()
        page.goto((tmp_path / "one" / "report.html").as_uri())
        sizes = page.evaluate("[...document.images].map(image => image.naturalWidth)")
        # Both in one, and seven of each revision, of which some may be the same in both.
        assert len(sizes) > 8 and min(sizes) > 300
        assert page.get_by_role("heading", level=2).all_inner_texts() == [
            *("Data", "Parameters", "Code", "Metrics", "Plots", "Drift")
        ]
        assert "Code of `no` <b>stage</b>" in page.inner_text("body")
        page.set_viewport_size(NARROW)
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_the_working_tree_is_compared_with_an_experiment_and_says_what_is_not_committed_or_stale(repository):
    run("dvc", "exp", "save", "--name", "kept", cwd=repository)
    edit(repository / "params.yaml", "tolerance: 0.001", "tolerance: 0.002")
    text = report(repository, repository / "reports/compare", "kept")
    assert "the working tree and kept have the same model" in text
    assert "params.yaml" in re.search(r"includes uncommitted changes: (.*)\.", text)[1]
    assert "train_model" in re.search("older than its data, parameters or code: (.*) must run", text)[1]
    assert "| train_model.tolerance | 0.001 | 0.002 |" in text


def test_the_newer_holdout_is_used_and_a_missing_feature_is_named(repository):
    training_set, folder = repository / "metrics/build_training_set.json", repository / "reports/compare"
    content = json.loads(training_set.read_text())
    # Of a base with a later holdout.
    run("git", "checkout", "--quiet", "main", cwd=repository)
    training_set.write_text(json.dumps(content | {"holdout_date": "2031-01-05"}))
    commit(repository, "A later holdout")
    assert "On the holdout of 2031-01-05 of main" in report(repository, folder, "main", "--head", "less")
    assert "because the holdout of less is of" in report(repository, folder, "main", "--head", "less")
    # Of a head whose later rows have fewer features than the base's model needs.
    training_set.write_text(json.dumps(content | {"holdout_date": "2032-01-04"}))
    part = next((repository / HOLDOUT).glob("*.parquet"))
    part.chmod(0o644)
    table = pq.read_table(part)
    part.unlink()
    pq.write_table(table.drop_columns(["payments_sum"]), part)
    text = report(repository, folder, "main")
    assert "The model of main needs the feature payments_sum, which the holdout of the working tree lacks" in text
    assert "**The models were not tested against each other.**" in text


def test_another_lookback_and_an_edited_expression_are_scored_on_the_rows_of_their_own_revision(demo_copy, tmp_path):
    run("git", "checkout", "--quiet", "-B", "main", cwd=demo_copy)
    commit(demo_copy, "The demo has run")
    edit(demo_copy / "params.yaml", "lookback_days: 90 ", "lookback_days: 60 ")
    edit(demo_copy / "scripts/churn/features/definitions.py", "known.days_ago.min()", "-known.days_ago.min()")
    run("dvc", "repro", "train_model", cwd=demo_copy)
    text = report(demo_copy, tmp_path, "main")
    for output in "models/candidate/scorer.onnx", HOLDOUT:
        run("dvc", "get", "--rev", "main", demo_copy, output, "--out", tmp_path / output, cwd=tmp_path)
    now, then = (pq.read_table(folder / HOLDOUT).to_pandas().set_index("user_id") for folder in (demo_copy, tmp_path))
    both = now.index.intersection(then.index)
    assert set(both) == set(now.index) and both.size < then.index.size
    assert (now.label[both] == then.label[both]).all()
    model, old_model = (folder / "models/candidate/scorer.onnx" for folder in (demo_copy, tmp_path))
    label = now.label[both].to_numpy()
    one, two, gain, low, high = delong(label, score(model, now.loc[both]), score(old_model, then.loc[both]))
    assert f"On the {both.size:,} users in both holdouts" in text
    difference = f"{two:.4f}: a difference of {gain:+.4f}"
    assert f"the ROC AUC of the working tree is {one:.4f} and that of main {difference}" in text
    assert f"(95% interval {low:+.4f} to {high:+.4f}, DeLong's paired test)" in text
    assert f"Users left out: {then.index.size - both.size} only in main." in text
    # What the base's model would get on values that it was never trained on.
    assert f"{two:.4f}" != f"{delong(label, score(old_model, now.loc[both]), label)[0]:.4f}"


def test_a_clone_without_the_cache_says_what_is_missing_and_reports_the_rest(history, tmp_path):
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", "--branch", "less", history, clone, cwd=tmp_path)
    text = report(clone, clone / "reports/compare", "origin/main")
    assert "models/candidate of origin/main is not here" in text and "make pull" in text
    assert "plots/train_model of origin/main is not here" in text
    assert f"| {LEFT_OUT} | none | {', '.join(PAYING)} |" in text and "| roc_auc |" in text
    # After `dvc repro train_model` the stages below are stale; a stage whose files are just missing is not.
    stale = re.search("older than its data, parameters or code: (.*) must run", text)[1]
    assert "write_model_card" in stale and "train_model" not in stale and "clean_payments" not in stale


def test_a_project_in_a_subfolder_of_a_repository_is_compared(demo, tmp_path):
    project = shutil.copytree(demo, tmp_path / "monorepo/teams/churn", symlinks=True)
    shutil.rmtree(project / ".git")
    run("git", "init", "--quiet", "--initial-branch", "main", cwd=tmp_path / "monorepo")
    commit(project, "The demo has run")
    edit(project / "params.yaml", "tolerance: 0.001", "tolerance: 0.002")
    with (project / "scripts" / "tools" / "ledger.py").open("a") as script:
        script.write("# one line\n")
    (project / "scripts" / "new.py").touch()
    (project.parent / "elsewhere.txt").write_text("not part of the project")
    text = report(project, project / "reports/compare", "main")
    assert "the working tree and main have the same model" in text
    assert "includes uncommitted changes: params.yaml, scripts/new.py, scripts/tools/ledger.py." in text
    assert "| scripts/tools/ledger.py | +1 | -0 |" in text and "| scripts/new.py | not in git yet |" in text
    assert "| train_model.tolerance | 0.001 | 0.002 |" in text and "elsewhere" not in text
    assert "train_model" in re.search("older than its data, parameters or code: (.*) must run", text)[1]
    run("git", "commit", "--quiet", "--all", "--message", "Tolerance", cwd=project)
    assert "| train_model.tolerance | 0.001 | 0.002 |" in report(project, tmp_path / "two", "HEAD~1", "--head", "main")
    run("python", "scripts", "plots", "HEAD~1", "main", "--output", tmp_path / "plots", cwd=project)
    assert (tmp_path / "plots/index.html").stat().st_size > 100_000


def test_what_cannot_be_compared_is_one_message(history):
    message = compare(history, "mian", fails=True).stderr
    assert message.startswith("ERROR: 'mian' is not a branch") and "Its branches: less, main" in message
    first = run("git", "rev-list", "--max-parents=0", "HEAD", cwd=history).stdout.strip()
    message = compare(history, first, fails=True).stderr
    assert message.startswith(f"ERROR: {first[:7]} has no dvc.lock, so it has no results to compare.")


def test_the_curves_of_two_revisions_share_charts_on_a_page_that_opens_offline(history, tmp_path):
    run("python", "scripts", "plots", "main", "less", "--output", tmp_path / "plots", cwd=history)
    plots = yaml.safe_load((history / "dvc.yaml").read_text())["plots"]
    page_text = (tmp_path / "plots" / "index.html").read_text()
    assert not re.search(r"<script[^>]*src|(src|href)=.http", page_text)
    with open_browser() as browser:
        page = browser.new_context(offline=True, viewport=WIDE).new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((tmp_path / "plots" / "index.html").as_uri())
        page.locator(".vega-embed svg, .vega-embed canvas").nth(len(plots) - 1).wait_for(state="attached")
        assert errors == []
    message = run("python", "scripts", "plots", "mian", cwd=history, fails=True).stderr
    assert message.startswith("ERROR: DVC could not draw mian") and "Traceback" not in message


def test_a_long_report_is_cut_to_what_a_comment_holds_and_its_tables_are_folded():
    rows = [(f"a|b{number}", "<i>", "x" * 200) for number in range(2000)]
    sections = [
        Section("", ["verdict"]),
        *(Section(f"{number}", [Table(("a", "b", "c"), rows, "Rows")]) for number in range(6)),
    ]
    text = write_markdown("title", sections)
    assert len(text) < LONGEST and text.count("<details><summary>Rows: 2,000</summary>") == 6
    assert r"| a\|b0 | \<i\> |" in text and "more rows, in report.html" in text
    short = write_markdown("title", [Section("One", [Table(("a",), [("b",)], "Rows")])])
    assert "<details>" not in short and "| b |" in short
