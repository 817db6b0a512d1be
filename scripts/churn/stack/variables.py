"""Which variables each service gets: no other password of `.env` is in its environment."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from churn.base.command import UserError
from churn.stack.private_files import write_private
from churn.stack.settings import DEFAULTS, Settings, matches

# What any program needs of the machine.
MACHINE = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "PYTHONDONTWRITEBYTECODE",
    # Which Java `make up` has checked, and what the group may do with the files that services write.
    "JAVA_HOME",
    "CHURN_UMASK",
)
# How a client of other servers reaches them. A proxy's address may have a login.
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
NETWORK = (*PROXIES, "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
CHECKSUMS = ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION")
# Of MLflow's server, besides its logins.
MLFLOW_SERVER = ("MLFLOW_FLASK_SERVER_SECRET_KEY", "MLFLOW_SERVER_*", *NETWORK)
# No secrets: where the services listen.
PLACES = tuple(name for name in DEFAULTS if name in ("CHURN_BIND_ADDRESS", "CHURN_HOST_NAME") or name.endswith("_PORT"))


def list_variables(name: str, settings: Settings) -> tuple[str, ...]:
    """Return the names, or patterns of names, of the variables that a service may see."""
    if name == "minio":
        return ("MINIO_*",)
    if name == "mlflow":
        managed = settings.is_managed("AWS_ENDPOINT_URL")
        s3 = ("CHURN_S3_MLFLOW_PASSWORD", *CHECKSUMS) if managed else ("AWS_*",)
        database = "CHURN_POSTGRES_URI" if settings["CHURN_POSTGRES_URI"] else "CHURN_POSTGRES_PASSWORD"
        return (database, *s3, *MLFLOW_SERVER)
    if name == "dashboard":
        # A user's own MLflow server may send its clients to S3 for the artifacts.
        own = [] if settings.is_managed("MLFLOW_TRACKING_URI") else ["AWS_*"]
        login = "CHURN_DASHBOARD_PASSWORD"
        return (login, "MLFLOW_TRACKING_*", "MLFLOW_HTTP_*", "CHURN_PROMOTION_*", "STREAMLIT_*", *own, *NETWORK)
    return ()


def machine_variables() -> dict[str, str]:
    """Return the variables of this process that every service gets."""
    return {name: value for name, value in os.environ.items() if matches(name, MACHINE)}


def write_variables(name: str, settings: Settings, folder: Path) -> None:
    """Write the variables of a service into a file that only its owner can read; `serve` starts the service with it."""
    (folder / "services").mkdir(exist_ok=True)
    write_private(_file(name, folder), json.dumps(_choose(name, settings), indent=2) + "\n")


def read_variables(name: str, folder: Path) -> Settings:
    """Return what `write_variables` has written, as settings.

    Raises
    ------
    UserError
        When the stack was never started here.
    """
    try:
        return Settings(DEFAULTS | json.loads(_file(name, folder).read_text()))
    except (FileNotFoundError, ValueError):
        raise UserError("The stack has not been set up here. Start it once: make up, or make up-containers") from None


def have_changed(names: Iterable[str], settings: Settings, folder: Path) -> bool:
    """Return whether services would now start with other variables; proxies may differ from shell to shell."""

    def known(variables: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in variables.items() if not matches(name, NETWORK)}

    for name in names:
        file = _file(name, folder)
        if not file.exists() or known(json.loads(file.read_text())) != known(_choose(name, settings)):
            return True
    return False


def _choose(name: str, settings: Settings) -> dict[str, str]:
    clients = Settings(dict(settings.variables) | settings.clients) if name == "dashboard" else settings
    return clients.select(*PLACES, *list_variables(name, settings))


def _file(name: str, folder: Path) -> Path:
    return folder / "services" / f"{name}.json"
