"""What the registry has, looked up without MLflow, which takes seconds to import: the Snakefile asks at every start."""

import base64
import json
import os
import sqlite3
import ssl
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import Any

from churn.base.command import UserError
from churn.base.reading import read_json
from churn.release.names import model_name
from churn.release.registry import sqlite_file, tracking_uri

TIMEOUT_SECONDS = 5


def knows_version(receipt: Path) -> bool:
    """Return whether the registry still has the version in a receipt.

    False for a new or empty store, and for a receipt that cannot be read. True when the store does not answer: nothing
    can be registered while it is down.
    """
    if not receipt.exists():
        return False
    try:
        version = str(read_json(receipt)["version"])
    except UserError:
        return False
    if database := sqlite_file(tracking_uri()):
        query = "SELECT version FROM model_versions WHERE name = ? AND version = ?"
        return _ask_file(database, query, model_name(), version) != []
    return _ask_server(tracking_uri(), "model-versions", name=model_name(), version=version) != {}


def read_aliases() -> dict[str, str] | None:
    """Return the number of the version that each alias of the registered model has.

    Empty for a new or empty store, and when there is no such model. None when the store does not answer, or is neither
    a server nor a SQLite file.
    """
    if database := sqlite_file(tracking_uri()):
        query = "SELECT alias, version FROM registered_model_aliases WHERE name = ?"
        rows = _ask_file(database, query, model_name())
        return None if rows is None else {alias: str(version) for alias, version in rows}
    answer = _ask_server(tracking_uri(), "registered-models", name=model_name())
    if answer is None:
        return None
    aliases = answer.get("registered_model", {}).get("aliases", [])
    return {one["alias"]: str(one["version"]) for one in aliases}


def _ask_file(database: Path, query: str, *arguments: str) -> list[Any] | None:
    """Return a query's rows; none from a store that is missing or empty; None from one that cannot be read."""
    if not database.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=TIMEOUT_SECONDS)) as connection:
            return connection.execute(query, arguments).fetchall()
    except sqlite3.Error as error:
        return [] if "no such table" in str(error) else None


def _ask_server(uri: str, kind: str, **query: str) -> dict[str, Any] | None:
    """Return a server's answer to GET /<kind>/get; empty if there is no such thing; None without an answer."""
    if not uri.startswith("http"):
        return None
    address, login = _split_login(uri)
    request = urllib.request.Request(f"{address}/api/2.0/mlflow/{kind}/get?{urllib.parse.urlencode(query)}")
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        request.add_header("Authorization", f"Bearer {token}")
    elif login:
        request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=_tls()) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return {} if error.code == 404 and b"RESOURCE_DOES_NOT_EXIST" in error.read() else None
    except (OSError, HTTPException, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def _tls() -> ssl.SSLContext:
    """Return how MLflow's own variables say that a server's certificate is checked."""
    bundle = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or os.environ.get("REQUESTS_CA_BUNDLE")
    context = ssl.create_default_context(cafile=bundle)
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _split_login(uri: str) -> tuple[str, str]:
    """Return the address without a login, and the login user:password; "" if there is none."""
    parts = urllib.parse.urlsplit(uri)
    inside, _, host = parts.netloc.rpartition("@")
    login = urllib.parse.unquote(inside)
    if user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
        login = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
    return parts._replace(netloc=host).geturl().rstrip("/"), login
