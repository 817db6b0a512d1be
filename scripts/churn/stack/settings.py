"""The settings of the stack, and `.env`, where every command finds the servers' addresses and credentials."""

import io
import itertools
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote

from dotenv import dotenv_values

from churn.base.command import ENV_FILE, UserError
from churn.stack.listen import LOCAL, is_loopback, join_port, reach, read_bind_address
from churn.stack.private_files import write_private

# Holds the services' data, logs and configuration.
FOLDER = Path(".stack")
# In that folder, while the stack is open to a network; the names are MinIO's.
CERTIFICATE, KEY, TRUSTED = "certs/public.crt", "certs/private.key", "certs/CAs/trusted.crt"
# Starts the part of `.env` that is there only while the stack is up.
MARK = "# While the stack is up"
DVC_BUCKET, ARTIFACT_BUCKET = "churn-dvc", "mlflow-artifacts"
# The users of MinIO besides root, which only sets it up, and the role of PostgreSQL that owns MLflow's tables.
PIPELINE_USER, MLFLOW_USER, READER_USER = "churn-pipeline", "churn-mlflow", "churn-reader"
DATABASE_ROLE = "mlflow"
REGION = "us-east-1"
# With Spark's own secret; the driver reads it too.
SPARK_LOGIN = FOLDER / "spark" / "login.conf"
DEFAULTS = {
    "CHURN_BIND_ADDRESS": LOCAL,
    "CHURN_HOST_NAME": "",
    "CHURN_TLS_CERTIFICATE": "",
    "CHURN_TLS_KEY": "",
    "CHURN_TLS_CA": "",
    "CHURN_DASHBOARD_PASSWORD": "",
    "CHURN_MINIO_PORT": "9000",
    "CHURN_MINIO_CONSOLE_PORT": "9001",
    "CHURN_POSTGRES_PORT": "5433",
    "CHURN_MLFLOW_PORT": "5000",
    "CHURN_SPARK_PORT": "7077",
    "CHURN_SPARK_UI_PORT": "8080",
    "CHURN_DASHBOARD_PORT": "8501",
    "CHURN_POSTGRES_URI": "",
    "MINIO_ROOT_USER": "churn",
    "MLFLOW_TRACKING_USERNAME": "admin",
}
# Generated once, at random.
SECRETS = (
    "MINIO_ROOT_PASSWORD",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
    "CHURN_POSTGRES_PASSWORD",
    "CHURN_S3_PIPELINE_PASSWORD",
    "CHURN_S3_MLFLOW_PASSWORD",
    "CHURN_S3_READER_PASSWORD",
    "CHURN_PSEUDONYM_KEY",
)
# A user can set these to use another server instead of the stack's.
ADDRESSES = ("AWS_ENDPOINT_URL", "MLFLOW_TRACKING_URI", "SPARK_MASTER")


@dataclass(frozen=True)
class Settings:
    """The stack's variables, and what follows from them."""

    variables: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.variables[name]

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach MinIO, MLflow and the dashboard; all else is for this machine only."""
        return not is_loopback(self["CHURN_BIND_ADDRESS"])

    @property
    def host(self) -> str:
        """The name or address by which clients reach the services that can be open to a network."""
        return (self.is_open and self["CHURN_HOST_NAME"]) or reach(self["CHURN_BIND_ADDRESS"])

    @property
    def trusted(self) -> Path | None:
        """The file of the authorities that clients trust; None as long as the services answer by http."""
        return (FOLDER / TRUSTED).absolute() if self.is_open else None

    def page(self, port: str) -> str:
        """Return the address of a service that can be open, by the variable of its port."""
        return f"{'https' if self.is_open else 'http'}://{join_port(self.host, self[port])}"

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses of the stack's own servers."""
        return {
            "AWS_ENDPOINT_URL": self.page("CHURN_MINIO_PORT"),
            "MLFLOW_TRACKING_URI": self.page("CHURN_MLFLOW_PORT"),
            "SPARK_MASTER": f"spark://{LOCAL}:{self['CHURN_SPARK_PORT']}",
        }

    def is_managed(self, variable: str) -> bool:
        """Return whether the stack runs the server that this variable names, rather than the user."""
        return self.variables.get(variable, "") in ("", self.addresses[variable])

    @property
    def clients(self) -> dict[str, str]:
        """The variables by which the pipeline reaches the servers that the stack runs."""
        variables = {name: address for name, address in self.addresses.items() if self.is_managed(name)}
        if "MLFLOW_TRACKING_URI" in variables:
            variables["MLFLOW_TRACKING_USERNAME"] = self["MLFLOW_TRACKING_USERNAME"]
            if self.trusted:
                variables["MLFLOW_TRACKING_SERVER_CERT_PATH"] = str(self.trusted)
        if "AWS_ENDPOINT_URL" in variables:
            variables["AWS_ACCESS_KEY_ID"] = PIPELINE_USER
            variables["AWS_SECRET_ACCESS_KEY"] = self["CHURN_S3_PIPELINE_PASSWORD"]
            variables["AWS_DEFAULT_REGION"] = REGION
            if self.trusted:
                variables["AWS_CA_BUNDLE"] = str(self.trusted)
        if "SPARK_MASTER" in variables:
            variables["SPARK_EVENT_LOG_DIR"] = str((FOLDER / "spark" / "events").absolute())
            variables["SPARK_PROPERTIES_FILE"] = str(SPARK_LOGIN.absolute())
        return variables

    @property
    def s3_owner(self) -> dict[str, str]:
        """The variables by which set-up reaches the S3 server: as MinIO's root, or with the user's own login."""
        if not self.is_managed("AWS_ENDPOINT_URL"):
            return self.environment
        return {
            "AWS_ENDPOINT_URL": self.addresses["AWS_ENDPOINT_URL"],
            "AWS_ACCESS_KEY_ID": self["MINIO_ROOT_USER"],
            "AWS_SECRET_ACCESS_KEY": self["MINIO_ROOT_PASSWORD"],
            "AWS_DEFAULT_REGION": REGION,
            **({"AWS_CA_BUNDLE": str(self.trusted)} if self.trusted else {}),
        }

    def select(self, *patterns: str) -> dict[str, str]:
        """Return the variables, also of this process, whose names match patterns like `AWS_*` and that have a value."""
        known = os.environ | dict(self.variables)
        return {name: value for name, value in known.items() if value and matches(name, patterns)}

    @property
    def postgres_uri(self) -> str:
        """The address of the database where MLflow keeps its tables."""
        if own := self["CHURN_POSTGRES_URI"]:
            return own
        password, port = self["CHURN_POSTGRES_PASSWORD"], self["CHURN_POSTGRES_PORT"]
        return f"postgresql://{DATABASE_ROLE}:{quote(password, safe='')}@{LOCAL}:{port}/postgres"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this process plus all variables of the stack, secrets included."""
        return os.environ | dict(self.variables) | self.clients


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name is one of these, or fits a pattern like `LC_*`."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def read_settings(path: Path = ENV_FILE) -> Settings:
    """Return the settings: the defaults, overridden by `.env`, overridden by the environment.

    Raises
    ------
    UserError
        When a port is not a number from 1 to 65535, or the address to listen on is no IP address.
    """
    permanent = dotenv_values(stream=io.StringIO("\n".join(_permanent_lines(path))))
    variables = DEFAULTS | {name: value or "" for name, value in permanent.items()}
    for name in [*variables, *SECRETS, *ADDRESSES]:
        if name in os.environ:
            variables[name] = os.environ[name]
    for name, value in variables.items():
        if name.startswith("CHURN_") and name.endswith("_PORT") and not (value.isdigit() and 0 < int(value) < 65536):
            raise UserError(f"{name} is {value!r}, which is not a port. Set it to a number from 1 to 65535 in {path}.")
    variables["CHURN_BIND_ADDRESS"] = read_bind_address(variables["CHURN_BIND_ADDRESS"], path)
    return Settings(variables)


def write_secrets(path: Path = ENV_FILE) -> None:
    """Generate the secrets that are missing, in a file that only its owner can read.

    The dashboard has a password if other machines can reach it; on this machine, only if the user sets one.
    """
    names = (*SECRETS, "CHURN_DASHBOARD_PASSWORD") if read_settings(path).is_open else SECRETS
    lines = _permanent_lines(path)
    known = dotenv_values(stream=io.StringIO("\n".join(lines)))
    missing = [name for name in names if not known.get(name) and not os.environ.get(name)]
    if missing:
        # Servers that are running keep their addresses in the lines below.
        rest = path.read_text().splitlines()[len(lines) :] if path.exists() else []
        _write(path, [*lines, *(f"{name}={secrets.token_urlsafe(24)}" for name in missing), *rest])


def write_addresses(clients: Mapping[str, str], down: str, path: Path = ENV_FILE) -> None:
    """Write the addresses and credentials of the running servers to `.env`, which the command `down` removes."""
    lines = [f"{name}={_quote(value)}" for name, value in clients.items()]
    _write(path, [*_permanent_lines(path), f"{MARK} ({down} removes the lines below):", *lines])


def stopped_by(path: Path = ENV_FILE) -> str:
    """Return the command that stops the servers whose addresses are in `.env`; empty if there are none."""
    found = re.search(rf"^{MARK} \((.+?) removes", path.read_text(), re.MULTILINE) if path.exists() else None
    return found[1] if found else ""


def remove_addresses(path: Path = ENV_FILE) -> None:
    """Remove the addresses from `.env`: later commands run on this machine, with the embedded store."""
    if path.exists():
        _write(path, _permanent_lines(path))


def _permanent_lines(path: Path) -> list[str]:
    lines = path.read_text().splitlines() if path.exists() else []
    return list(itertools.takewhile(lambda line: not line.startswith(MARK), lines))


def _quote(value: str) -> str:
    """Return a value as it is written in `.env`: in quotes if it has a sign with a meaning there, such as ` #`."""
    if re.fullmatch(r"[\w./:@-]*", value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _write(path: Path, lines: list[str]) -> None:
    write_private(path, "".join(f"{line}\n" for line in lines))
