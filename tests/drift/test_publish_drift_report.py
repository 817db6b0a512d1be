"""The drift report is published once and complete."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, run_script

from churn.base.command import UserError
from publish_drift_report import publish_drift_report

PAGE = b"<!DOCTYPE html>\n<title>Drift of 2024-03-24</title>\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with one report, and no address configured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DRIFT_REPORT_URI", raising=False)
    (tmp_path / "drift").mkdir()
    (tmp_path / "drift" / "2024-03-24.html").write_bytes(PAGE)
    return tmp_path


def publish() -> dict:
    publish_drift_report(Path("drift"), Path("receipt.json"))
    return json.loads(Path("receipt.json").read_text())


def test_by_default_the_report_goes_to_a_folder_of_the_repository():
    sha256 = hashlib.sha256(PAGE).hexdigest()
    assert publish() == {"drop": "2024-03-24", "uri": "drift-reports/2024-03-24.html", "sha256": sha256}
    assert Path("drift-reports/2024-03-24.html").read_bytes() == PAGE
    assert [path.name for path in Path("drift-reports").iterdir()] == ["2024-03-24.html"]


def test_a_file_address_may_end_in_a_slash(folder, monkeypatch):
    for slash in ("", "/"):
        monkeypatch.setenv("DRIFT_REPORT_URI", (folder / "shared" / "reports").as_uri() + slash)
        assert publish()["uri"] == f"file://{folder}/shared/reports/2024-03-24.html"
    assert (folder / "shared" / "reports" / "2024-03-24.html").read_bytes() == PAGE


def test_a_web_server_that_can_read_the_folder_can_read_the_report(folder, monkeypatch, tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    before = os.umask(0o077)
    try:
        for rights, inner, page in (0o755, 0o755, 0o644), (0o750, 0o750, 0o640):
            site.chmod(rights)
            place = site / f"{rights:o}" / "reports"
            monkeypatch.setenv("DRIFT_REPORT_URI", str(place))
            publish()
            modes = [path.stat().st_mode & 0o777 for path in (place.parent, place, place / "2024-03-24.html")]
            assert modes == [inner, inner, page]
    finally:
        os.umask(before)
    # The repository's own folder stays closed; fsspec asks for the umask once in a process.
    run_script("publish_drift_report", "--report", "drift", "--receipt", "receipt.json", cwd=folder)
    assert (folder / "drift-reports/2024-03-24.html").stat().st_mode & 0o777 == 0o600


def test_the_same_page_is_published_once(capsys):
    publish()
    there = Path("drift-reports/2024-03-24.html")
    os.utime(there, (0, 0))
    publish()
    assert there.stat().st_mtime == 0
    assert capsys.readouterr().out.splitlines()[-1] == "drift-reports/2024-03-24.html: already there"


def test_a_changed_or_incomplete_page_is_replaced_and_older_drops_are_kept():
    Path("drift-reports").mkdir()
    Path("drift-reports/2024-03-24.html").write_bytes(PAGE[:10])
    Path("drift-reports/2024-03-17.html").write_bytes(b"older")
    publish()
    assert Path("drift-reports/2024-03-24.html").read_bytes() == PAGE
    assert Path("drift-reports/2024-03-17.html").read_bytes() == b"older"


@pytest.mark.parametrize("pages", [[], ["2024-03-17.html", "2024-03-24.html"]])
def test_any_other_number_of_pages_is_refused(pages):
    Path("drift/2024-03-24.html").unlink()
    for page in pages:
        (Path("drift") / page).write_bytes(PAGE)
    with pytest.raises(UserError, match=r"must contain one HTML page; found: .*dvc repro detect_drift"):
        publish()


@pytest.mark.parametrize("uri", ["nowhere://bucket/drift", "receipt.txt/drift"])
def test_a_wrong_address_gives_one_message_and_no_receipt(folder, uri):
    (folder / "receipt.txt").write_text("a file, not a folder")
    script = ROOT / "scripts" / "publish_drift_report.py"
    command = [sys.executable, script, "--report", "drift", "--receipt", "receipt.json"]
    env = os.environ | {"DRIFT_REPORT_URI": uri}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"ERROR: The drift report cannot be published at {uri}/2024-03-24.html: ")
    assert "DRIFT_REPORT_URI" in done.stderr and not Path("receipt.json").exists()


def test_a_login_in_an_address_of_s3_is_refused_and_not_shown(monkeypatch):
    monkeypatch.setenv("DRIFT_REPORT_URI", "s3://ana:not-shown@bucket/drift")
    with pytest.raises(UserError, match=r"s3://bucket/drift, and the login in AWS_ACCESS_KEY_ID") as raised:
        publish()
    assert "not-shown" not in str(raised.value) and not Path("receipt.json").exists()


def test_an_unreachable_s3_server_is_reported(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("DRIFT_REPORT_URI", "s3://mlflow-artifacts/drift-reports")
    with pytest.raises(UserError, match=r"s3://mlflow-artifacts/drift-reports/2024-03-24\.html: .*127\.0\.0\.1:1"):
        publish()
