"""make doctor prints a table of checks, with a fix for each fault."""

import re
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import certifi
import pytest
from conftest import ROOT, run
from running_stack import FOUND

DOCTOR = (sys.executable, ROOT / "scripts", "doctor")


def examine(folder, fails=False, **environment) -> dict[str, str]:
    """Return the rows of the table by name, each with its fix."""
    answer = run(*DOCTOR, cwd=folder, fails=fails, **FOUND | environment)
    rows = dict(re.findall(r"^(\w+) +((?:ok|FAULT) .*(?:\n {12}fix .*)?)", answer.stdout, re.MULTILINE))
    names = ["Python", "Packages", "Java", "Disk", "Logins", "S3", "Remote", "MLflow", "Production", "Spark", "Alerts"]
    assert list(rows) == names, answer.stdout
    assert not fails or re.search(r"ERROR: \d faults?; each line `fix` says what to do", answer.stderr)
    return rows


def empty(folder):
    (folder / "requirements.lock").write_text((ROOT / "requirements.lock").read_text())
    return folder


def test_without_servers_there_is_no_fault(tmp_path):
    rows = examine(empty(tmp_path))
    assert all(row.startswith("ok") for row in rows.values())
    assert "AWS_ENDPOINT_URL is not set" in rows["S3"] and "not created yet" in rows["MLflow"]
    assert "CHURN_NOTIFY_URLS is not set" in rows["Alerts"]
    assert [path.name for path in tmp_path.iterdir()] == ["requirements.lock"]


@pytest.fixture
def unknown_authority(tmp_path):
    """The address of a server whose certificate no authority that clients know has signed."""
    made = "-x509 -newkey rsa:2048 -nodes -keyout key -out own -days 2 -subj /CN=churn"
    run("openssl", "req", *made.split(), "-addext", "subjectAltName=IP:127.0.0.1", cwd=tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "own", tmp_path / "key")
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
def test_another_authority_in_the_environment_is_named(tmp_path, unknown_authority):
    keys = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_CA_BUNDLE": certifi.where(),
    }
    rows = examine(empty(tmp_path), fails=True, AWS_ENDPOINT_URL=unknown_authority, **keys)
    assert re.search(r"fix +AWS_CA_BUNDLE must name .*, and is /.*: the environment wins over \.env", rows["S3"])


@pytest.mark.slow
def test_each_fault_is_reported_with_its_fix(tmp_path):
    lock = empty(tmp_path) / "requirements.lock"
    lock.write_text(re.sub(r"^dvc==\S+", "dvc==1.0.0", lock.read_text(), flags=re.MULTILINE))
    (tmp_path / ".env").write_text("AWS_ENDPOINT_URL=http://127.0.0.1:9\n")
    (tmp_path / ".env").chmod(0o644)
    rows = examine(
        *(tmp_path, True),
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
        SPARK_MASTER="spark://127.0.0.1:9",
        CHURN_NOTIFY_URLS="json://127.0.0.1/secret jsn://secret",
        **NO_LOGIN,
    )
    assert "dvc 3.67.1 instead of ==1.0.0" in rows["Packages"] and "make install" in rows["Packages"]
    assert "mode 644" in rows["Logins"] and "chmod 600 .env" in rows["Logins"]
    assert "cannot use address 2 of CHURN_NOTIFY_URLS" in rows["Alerts"] and "secret" not in rows["Alerts"]
    for name in "S3", "MLflow", "Spark":
        assert rows[name].startswith("FAULT") and "127.0.0.1:9" in rows[name] and "make up" in rows[name]


NO_LOGIN = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}


def test_with_the_stack_each_server_is_checked(stack):
    rows = examine(stack.repository)
    variables = stack.variables
    assert all(row.startswith("ok") for row in rows.values()), rows
    assert f"{variables['AWS_ENDPOINT_URL']}: written, read, checksum correct" in rows["S3"]
    assert variables["MLFLOW_TRACKING_URI"] in rows["MLflow"] and variables["SPARK_MASTER"] in rows["Spark"]
    assert not [key for key in stack.objects("churn-dvc") if key.startswith("doctor/")]
    rows = examine(stack.repository, True, AWS_SECRET_ACCESS_KEY="wrong", MLFLOW_TRACKING_PASSWORD="wrong")
    assert rows["S3"].startswith("FAULT") and rows["MLflow"].startswith("FAULT") and "401" in rows["MLflow"]
    with stack.without("spark-master"):
        assert "does not answer" in examine(stack.repository, True)["Spark"]
