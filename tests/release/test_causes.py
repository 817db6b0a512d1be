"""The cause of an MLflow error is shown whole, in one line and without logins."""

import sqlite3

import pytest

from churn.base.command import UserError
from churn.release.causes import explain_cause
from churn.release.registry import find_versions, open_registry


def test_all_lines_of_a_real_error_are_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    whole = r"no such table: model_versions .*\[SQL: .*Check MLFLOW_TRACKING_URI"
    with pytest.raises(UserError, match=whole) as error, open_registry() as client:
        assert find_versions(client, "churn-model") == []
        with sqlite3.connect(tmp_path / "mlflow.db") as connection:
            connection.execute("DROP TABLE model_versions")
        find_versions(client, "churn-model")
    assert "\n" not in str(error.value)


def test_a_login_is_not_shown_in_the_address_or_the_cause(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=r"MLflow at http://127\.0\.0\.1:9: ") as error, open_registry() as client:
        client.search_experiments()
    assert "secret" not in str(error.value)


def test_a_traceback_becomes_its_last_line():
    try:
        raise ValueError("Bucket is full\nat https://me:p@ss@host/x?X-Amz-Signature=abc&y=1\n[quota: 1 GB]")
    except ValueError as error:
        import traceback

        text = "Upload failed:\n" + "".join(traceback.format_exception(error))
    assert explain_cause(RuntimeError(text)) == (
        "Upload failed: ValueError: Bucket is full; at https://host/x?X-Amz-Signature=...&y=1 [quota: 1 GB]."
    )
    assert explain_cause(RuntimeError()) == "RuntimeError."
