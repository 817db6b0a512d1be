"""Health checks of the services. Each returns None when all is well, or else the problem in a few words."""

import base64
import configparser
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import psycopg2

from churn.base.addresses import hide_logins

TIMEOUT_SECONDS = 5.0
LOGIN_CHANGED = (
    "its database has another password for MLFLOW_TRACKING_USERNAME. Restore MLFLOW_TRACKING_PASSWORD in .env, and "
    "change it in MLflow first"
)


def check_page(url: str, trusted: Path | None = None) -> str | None:
    """Check that a page answers with status 200; by https, with a certificate that the authorities in a file signed."""
    return _get(url, trusted)[1]


def check_mlflow(url: str, login_file: Path, trusted: Path | None = None) -> str | None:
    """Check that the MLflow server accepts the login in its settings and reads its database."""
    parser = configparser.ConfigParser()
    parser.read(login_file)
    login = f"{parser['mlflow']['admin_username']}:{parser['mlflow']['admin_password']}"
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    problem = _get(f"{url}/api/2.0/mlflow/experiments/search?max_results=1", trusted, headers)[1]
    return LOGIN_CHANGED if problem and " answers 401 " in problem else problem


def check_workers(url: str, number: int) -> str | None:
    """Check on the page of Spark's master that at least `number` workers are alive."""
    content, problem = _get(url)
    if problem:
        return problem
    alive = json.loads(content)["aliveworkers"]
    return None if alive >= number else f"{alive} of {number} workers are alive"


def check_login(uri: str) -> str | None:
    """Check that PostgreSQL accepts a connection."""
    try:
        psycopg2.connect(uri, connect_timeout=int(TIMEOUT_SECONDS)).close()
    except psycopg2.OperationalError as error:
        return hide_logins(str(error).strip().splitlines()[-1])
    return None


def _get(url: str, trusted: Path | None = None, headers: Mapping[str, str] | None = None) -> tuple[str, str | None]:
    request = urllib.request.Request(url, headers=dict(headers or {}))
    try:
        context = ssl.create_default_context(cafile=str(trusted)) if trusted else None
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=context) as response:
            return response.read().decode(), None
    except urllib.error.HTTPError as error:
        with error:
            return "", f"{hide_logins(url)} answers {error.code} {error.reason}"
    except OSError as error:
        return "", hide_logins(f"{url} does not answer ({getattr(error, 'reason', error)})")
