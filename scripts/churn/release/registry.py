"""The model registry: its address, its runs and versions, and one clear message when it does not answer.

MLflow is imported only where it is used: the Snakefile imports this module at every start.
"""

import os
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.base.addresses import hide_logins
from churn.base.command import UserError
from churn.release.causes import explain_cause
from churn.release.names import model_name
from churn.release.relocation import StoreError, check_store, relocate_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

PRODUCTION, PREVIOUS = "production", "previous"
# On the version in Production while promotions are held.
HOLD_ALIAS = "hold"
DIGEST_TAG = "candidate_digest"
# Why a version was rolled back; such a version is never promoted again.
ROLLED_BACK_TAG = "rolled_back"
SQLITE = "sqlite:///"


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, by default the embedded store in the repository."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"


def sqlite_file(uri: str) -> Path | None:
    """Return the absolute path of an embedded store's file, None for any other address."""
    # SQLAlchemy does not unquote the path, and reads options after a question mark.
    name = uri.removeprefix(SQLITE).partition("?")[0]
    return Path(name).absolute() if uri.startswith(SQLITE) and name else None


@contextmanager
def open_registry() -> Iterator["MlflowClient"]:
    """Yield a client of the registry; an MLflow error inside becomes a `UserError` that names the address.

    An embedded store that was moved or copied is repaired first.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    # Artifacts go through the server: it may name an address of its store that cannot be reached from here.
    os.environ.setdefault("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "false")
    os.environ.setdefault("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "false")
    # A bank's pipeline sends no usage data.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # MLflow would print the address of each run with the login in it.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import mlflow
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    mlflow.set_tracking_uri(tracking_uri())
    try:
        if database := sqlite_file(tracking_uri()):
            check_store(database)
            relocate_store(database)
        _check_address(tracking_uri())
        yield mlflow.MlflowClient()
    except (MlflowException, RequestException, AddressError, StoreError) as error:
        raise UserError(
            f"MLflow at {hide_logins(tracking_uri())}: {explain_cause(error)} Check MLFLOW_TRACKING_URI, "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, and that the server and its artifact store answer, "
            "then run again: finished steps are not repeated."
        ) from error


class AddressError(Exception):
    """No server answers at an address."""


def _check_address(uri: str) -> None:
    """Raise `AddressError` when no machine answers within ten seconds; MLflow itself would retry for minutes.

    A machine that refuses the connection may be restarting its server: MLflow's own retries decide.
    """
    parts = urllib.parse.urlsplit(uri)
    host, proxies = parts.hostname or "", urllib.request.getproxies()
    if parts.scheme not in ("http", "https") or (parts.scheme in proxies and not urllib.request.proxy_bypass(host)):
        return
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((host, port), timeout=10).close()
    except ConnectionRefusedError:
        return
    except (OSError, ValueError) as error:
        raise AddressError(f"it cannot be reached ({getattr(error, 'strerror', None) or error}).") from error


def read_pages(search: Callable[..., Any], *arguments: object, **options: object) -> Iterator[Any]:
    """Yield all results of one of MLflow's searches, page by page.

    Parameters
    ----------
    search : callable
        A method of the client, like `search_runs`, with its arguments and options.
    """
    token: str | None = None
    while token != "":
        page = search(*arguments, **options, page_token=token)
        yield from page
        token = page.token or ""


def find_runs(client: "MlflowClient", experiment_id: str, condition: str = "") -> "list[Run]":
    """Return an experiment's runs that meet a condition and are not deleted, oldest first."""
    order = ["attributes.start_time ASC"]
    return list(read_pages(client.search_runs, [experiment_id], condition, order_by=order))


def find_versions(client: "MlflowClient", name: str, condition: str = "") -> "list[ModelVersion]":
    """Return a registered model's versions that meet a condition and are not deleted, by number; none without it."""
    query = f"name = '{name}'{condition and f' and {condition}'}"
    # In an order that no update changes: else a version could fall between two pages.
    found = read_pages(client.search_model_versions, query, order_by=["version_number ASC"])
    return sorted(found, key=lambda version: int(version.version))


def aliased_version(client: "MlflowClient", alias: str) -> "ModelVersion | None":
    """Return the version that has an alias, None if no version has it."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(model_name(), alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def retry_once(call: Callable[..., None], *arguments: str) -> None:
    """Set or delete an alias or a tag, and retry once.

    MLflow checks, then inserts; if two clients race, the database rejects one. The row then exists, so a retry
    succeeds.
    """
    from mlflow.exceptions import MlflowException

    try:
        call(*arguments)
    except MlflowException as error:
        if error.error_code != "BAD_REQUEST":
            raise
        call(*arguments)
