"""An address is shown without its login, whatever characters the login has."""

import pytest

from churn.base.addresses import hide_logins

SECRET = "secret"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://ana:secret@127.0.0.1:9000/x", "http://127.0.0.1:9000/x"),
        ("https://secret@github.com/a/b.git", "https://github.com/a/b.git"),
        ("https://oauth2:secret@host/a.git", "https://host/a.git"),
        ("http://ana:p@secret@host", "http://host"),
        ("http://ana:p/secret@host/x", "http://host/x"),
        ("http://ana:p#secret?x@host", "http://host"),
        ("http://ana:12/secret@host", "http://host"),
        ("postgresql+psycopg2://ana:p:/@secret@db:5432/mlflow", "postgresql+psycopg2://db:5432/mlflow"),
        ("postgresql://db/mlflow?user=ana&password=secret", "postgresql://db/mlflow?user=ana&password=..."),
        ("spark://ana:secret@one:7077", "spark://one:7077"),
        ("s3://AKIA:p@/secret@bucket/a", "s3://bucket/a"),
        ("https://b.example.com/x?X-Amz-Signature=secret&y=1", "https://b.example.com/x?X-Amz-Signature=...&y=1"),
        ("https://b.example.com/x?sv=1&sig=secret", "https://b.example.com/x?sv=1&sig=..."),
        ("https://h/x?access_token=secret", "https://h/x?access_token=..."),
        ("https://h/x?AWSAccessKeyId=A&Signature=secret", "https://h/x?AWSAccessKeyId=A&Signature=..."),
        ("https://h/x?api_key=secret", "https://h/x?api_key=..."),
        ("https://h/x?pwd=secret", "https://h/x?pwd=..."),
        ("https://h/x#access_token=secret", "https://h/x#access_token=..."),
        ("HTTP://ana:secret@host", "HTTP://host"),
        ("ana:secret@127.0.0.1:9000/x", "127.0.0.1:9000/x"),
        ("http:/ana:secret@host.example.com", "host.example.com"),
        ("ana:secret@minio:9000", "minio:9000"),
        ("-http://ana:secret@host", "-http://host"),
        ("postgresql://db/mlflow?user=ana&sslpassword=secret", "postgresql://db/mlflow?user=ana&sslpassword=..."),
        ("https://h/x?authToken=secret&y=1", "https://h/x?authToken=...&y=1"),
        ("https://h/x?ownSecretKey=secret", "https://h/x?ownSecretKey=..."),
        ("https://h/x?password=a;secret", "https://h/x?password=..."),
    ],
)
def test_no_login_is_shown(address, shown):
    assert hide_logins(address) == shown
    assert hide_logins(f"S3 at '{address}': refused") == f"S3 at '{shown}': refused"
    assert SECRET not in hide_logins(f"({address}), {address}\n{address}")


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000",
        "s3://bucket/a@b/c",
        "drift-reports",
        "user@host: mail ana@example.com, see http://host:1/x",
        "https://host/x?key_name=1&y=2",
        "git@github.com:a/b.git, at 12:30 ana@example.com",
        "sqlite:////srv/a@b/mlflow.db",
        "failed to run dvc.yaml:build_features@2026-03-22: see ../dvc.yaml:score_users@2026-03-22",
    ],
)
def test_other_texts_stay(text):
    assert hide_logins(text) == text
