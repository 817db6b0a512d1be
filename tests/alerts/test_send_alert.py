"""One message per outcome, to a real web server and a real mail server; no address is ever printed."""

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, run
from demo_pipeline import read
from message_servers import SECRET, dead_url, mail_url

from churn.alerts.channels import has_undelivered, send_message
from churn.alerts.failure import explain_failure
from churn.alerts.summary import describe_drift_and_alarms
from send_alert import write_message

# One of Apprise's services, none of those used here, brings a library that imports it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
RECEIPT = "reports/release/send_alert.json"


def go(repository: Path, urls: str, fails: bool = False) -> str:
    answer = run("snakemake", "--cores", "2", cwd=repository, fails=fails, CHURN_NOTIFY_URLS=urls)
    return answer.stdout + answer.stderr


def send(repository: Path, urls: str) -> None:
    """Run the step as its rule does."""
    run("python", "scripts/send_alert.py", "--receipt", RECEIPT, cwd=repository, CHURN_NOTIFY_URLS=urls)


def rehearse(repository: Path, urls: str) -> str:
    return run("snakemake", "--dry-run", cwd=repository, CHURN_NOTIFY_URLS=urls).stdout


def change(path: Path, **values: str) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def check_no_secret(repository: Path, printed: str) -> None:
    """Look for the secret in what was printed and in every small file that the run wrote."""
    assert SECRET not in printed
    folders = (".snakemake/log", ".snakemake/freshness", "logs", "reports", "metrics")
    files = [path for folder in folders for path in (repository / folder).rglob("*") if path.is_file()]
    assert any(path.name == "send_alert.log" for path in files)
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_an_outcome_is_sent_once_to_each_service_and_again_only_where_it_failed(demo_copy, web, mail):
    assert "send_alert" not in rehearse(demo_copy, "")
    web.status = 500
    urls = f"{mail_url(mail)}, {web.url} {dead_url()}"
    printed = go(demo_copy, urls)
    assert "WARNING: JSON (address 2 of CHURN_NOTIFY_URLS) did not accept the message." in printed
    assert "WARNING: JSON (address 3 of CHURN_NOTIFY_URLS) did not accept the message." in printed
    ((receivers, message),) = mail.handler.messages
    assert receivers == ["team@example.com"]
    body = message.get_content()
    evaluation = read(demo_copy, "reports/release/evaluation.json")
    assert message["subject"] == "churn-model: promote (drop 2026-03-22)"
    assert f"ROC AUC {evaluation['candidate']['roc_auc']:.4f}" in body and evaluation["reason"] in body
    users = read(demo_copy, "metrics/build_features/2026-03-22.json")["payers"]
    assert f"Users: {users:,} pay in drop 2026-03-22" in body
    assert "Drift report: drift-reports/2026-03-22.html" in body
    commit = run("git", "rev-parse", "HEAD", cwd=demo_copy).stdout[:7]
    assert f"Commit: {commit}" in body
    assert [one["delivered"] for one in read(demo_copy, RECEIPT)["services"]] == [True, False, False]
    check_no_secret(demo_copy, printed)

    web.status = 200
    printed = go(demo_copy, urls)
    assert len(mail.handler.messages) == 1
    (posted,) = web.messages
    assert (posted["title"], posted["message"].splitlines()) == (message["subject"], body.splitlines())
    assert "Train" not in printed and "address 3" in printed and "address 2" not in printed
    # Without the dead address, nothing is left to retry.
    urls = f"{mail_url(mail)}, {web.url}"
    send(demo_copy, urls)
    assert "Nothing to be done" in rehearse(demo_copy, urls)
    # A rejected delivery is sent once.
    (demo_copy / "inbox/rejected/2026-03-29").mkdir(parents=True)
    (demo_copy / "inbox/rejected/2026-03-29/reason.txt").write_text("PAYMENTS.csv is missing.\n")
    assert "send_alert" in rehearse(demo_copy, urls)
    send(demo_copy, urls)
    send(demo_copy, urls)
    shutil.rmtree(demo_copy / "inbox")
    send(demo_copy, urls)
    assert [one["title"] for one in web.messages[1:]] == ["churn-model: promote, rejected delivery (drop 2026-03-22)"]
    assert re.search(r"Rejected delivery 2026-03-29 \(.*\): PAYMENTS.csv is missing.", web.messages[1]["message"])
    # A repeated comparison finds the candidate in Production: the same outcome in other words.
    change(demo_copy / "reports/release/promote_model.json", decision="skip", reason="In Production already.")
    send(demo_copy, urls)
    assert len(mail.handler.messages) == len(web.messages) == 2
    change(demo_copy / "reports/release/promote_model.json", production_version="7")
    send(demo_copy, urls)
    assert mail.handler.messages[2][1]["subject"] == "churn-model: skip (drop 2026-03-22)"


def test_a_failure_is_sent_once_a_run_with_the_rule_and_its_error(demo_repository, tmp_path, web):
    repository = shutil.copytree(demo_repository, tmp_path / "repository", symlinks=True)
    payments = repository / "data/raw/2026-03-22/PAYMENTS.csv"
    payments.write_text(payments.read_text().replace("2026-", "32026-"))
    printed = go(repository, f"{web.url} {dead_url()}", fails=True)
    assert "WARNING: JSON (address 2 of CHURN_NOTIFY_URLS) did not accept the message." in printed
    (message,) = web.messages
    assert message["title"] == "churn-model: failure of clean_payments" and message["type"] == "failure"
    log = "logs/clean_payments/2026-03-22.log"
    error = next(line for line in (repository / log).read_text().splitlines() if line.startswith("ERROR"))
    error = error.removesuffix(" For example:")
    assert "PAYMENTS.csv" in error and f"clean_payments: {error} ({log})" in message["message"]
    assert SECRET not in printed
    go(repository, web.url, fails=True)
    assert len(web.messages) == 2
    run("dvc", "repro", cwd=repository, fails=True, CHURN_NOTIFY_URLS=web.url)
    assert len(web.messages) == 2


def test_a_receipt_of_an_older_release_is_not_sent_again(demo_copy, web):
    """Its field `delivered` was called `told`."""
    send(demo_copy, web.url)
    receipt = demo_copy / RECEIPT
    content = json.loads(receipt.read_text())
    for delivered in (True, False):
        services = [{"service": "JSON", "told": delivered}]
        receipt.write_text(json.dumps(content | {"services": services}))
        assert has_undelivered(receipt) is not delivered
        send(demo_copy, web.url)
        assert len(web.messages) == (1 if delivered else 2)
        assert read(demo_copy, RECEIPT)["services"] == [{"service": "JSON", "delivered": True}]


@pytest.mark.parametrize("wrong", [f"jsn://{SECRET}", SECRET, "mailto://", "://", "json://[::1"])
def test_a_wrong_address_is_a_warning_and_the_others_get_the_message(wrong, web, monkeypatch, capfd):
    monkeypatch.setenv("CHURN_NOTIFY_URLS", f"{wrong}, {web.url}")
    results = send_message("title", ["a line", "another"], "info")
    assert results == [{"service": "unknown", "delivered": False}, {"service": "JSON", "delivered": True}]
    printed = "".join(capfd.readouterr())
    assert "Apprise cannot use address 1 of CHURN_NOTIFY_URLS" in printed and SECRET not in printed
    assert web.messages[0]["message"] == "a line\nanother"


def test_without_an_address_nothing_is_sent(tmp_path):
    script = ROOT / "scripts" / "send_alert.py"
    message = run("python", script, "--receipt", tmp_path / "receipt.json", cwd=tmp_path, fails=True).stderr
    assert message.startswith("ERROR: CHURN_NOTIFY_URLS is not set")
    assert not (tmp_path / "receipt.json").exists()


def test_the_title_says_drift_and_the_lines_name_columns_alarms_and_links(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:pass@mlflow.example.com:5000/")
    results = {
        "evaluation": {
            "candidate": {"version": "3", "roc_auc": 0.81234},
            "production": {"version": "2", "roc_auc": 0.8},
        },
        "promotion": {
            **{"decision": "skip", "reason": "No gain."},
            **{"candidate_version": "3", "production_version": "2"},
        },
        "published": {"uri": "s3://reports/2026-03-29.html"},
        "drift": {
            "current_drop": "2026-03-29",
            "drift_detected": True,
            "drift_share": 0.5,
            "drifted_columns": ["age", "spent_ml"],
            "alarms": ["20% of age is missing."],
        },
    }
    title, lines, kind = write_message(results, 1234, {})
    assert (title, kind) == ("churn-model: skip, drift (drop 2026-03-29)", "warning")
    assert lines == [
        "No gain.",
        "Candidate: version 3, ROC AUC 0.8123",
        "Production: version 2, ROC AUC 0.8000 before this run; version 2 now",
        f"Drift: {describe_drift_and_alarms(results['drift'])} (age, spent_ml)",
        "Users: 1,234 pay in drop 2026-03-29",
        "Drift report: s3://reports/2026-03-29.html",
        "MLflow: http://mlflow.example.com:5000/#/models/churn-model/versions/3",
        "Commit: none",
    ]
    results["drift"] = {"current_drop": "2026-03-29", "reason": "there is no earlier drop.", "alarms": []}
    title, lines, kind = write_message(results, 1234, {})
    assert (title, kind) == ("churn-model: skip (drop 2026-03-29)", "info")
    assert any(line.startswith("Drift: ") and "there is no earlier drop." in line for line in lines)


def test_of_a_log_without_an_error_the_last_line_is_sent(tmp_path):
    (tmp_path / "log").write_text("started\nKilled\n\n")
    assert explain_failure([tmp_path / "log"]) == f"Killed ({tmp_path}/log)"
    (tmp_path / "log").write_text("ERROR: 1 of 9 rows are bad. For example:\n  line 3: AGE is 199: 107000,199,F\n")
    assert explain_failure([tmp_path / "log"]) == f"ERROR: 1 of 9 rows are bad. ({tmp_path}/log)", "and no row of data"
    assert explain_failure([tmp_path / "none"]) == f"nothing was printed ({tmp_path}/none)"


def test_names_from_the_data_are_neither_formatted_nor_mentions(web, mail, monkeypatch):
    hook = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    monkeypatch.setattr("message_servers.SECRET", hook)
    monkeypatch.setattr("apprise.plugins.slack.NotifySlack.webhook_url", f"http://127.0.0.1:{web.server_port}")
    monkeypatch.setenv("CHURN_NOTIFY_URLS", f"slack://{hook} {mail_url(mail)}")
    send_message("title", ["card_type has a new category, $^$ | <b>x</b> <!channel> *y*: 5.0% of users."], "warning")
    (posted,) = web.messages
    text = posted["attachments"][0]["text"]
    assert posted["mrkdwn"] is False and "&lt;b&gt;x&lt;/b&gt; &lt;!channel&gt; *y*" in text and "<" not in text
    (_, mailed) = mail.handler.messages[0]
    assert [part.get_content_type() for part in mailed.walk() if not part.is_multipart()] == ["text/plain"]
