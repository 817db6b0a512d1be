"""What the stack is told by its user, and the `.env` through which every door learns of it."""

import io
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from churn.base.command import ENV_FILE, UserError
from churn.stack.private_files import write_private

# The services' data, logs and settings.
FOLDER = Path(".stack")
# What the stack writes below this line is true while it is up.
MARK = "# While the stack is up (make down takes away what follows):"
DVC_BUCKET, ARTIFACT_BUCKET = "churn-dvc", "mlflow-artifacts"
DEFAULTS = {
    "CHURN_BIND_ADDRESS": "127.0.0.1",
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
# Made up once, at random.
SECRETS = (
    "MINIO_ROOT_PASSWORD",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
    "CHURN_POSTGRES_PASSWORD",
)
# Where a user's own server takes the place of the stack's.
ADDRESSES = ("AWS_ENDPOINT_URL", "MLFLOW_TRACKING_URI", "SPARK_MASTER")


@dataclass(frozen=True)
class Settings:
    """The stack's variables, by name, and which servers are the user's own."""

    variables: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.variables[name]

    @property
    def host(self) -> str:
        """Where clients on this machine reach what listens on CHURN_BIND_ADDRESS."""
        bind = self["CHURN_BIND_ADDRESS"]
        return "127.0.0.1" if bind == "0.0.0.0" else bind

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses of the stack's own servers."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self.host}:{self['CHURN_MINIO_PORT']}",
            "MLFLOW_TRACKING_URI": f"http://{self.host}:{self['CHURN_MLFLOW_PORT']}",
            "SPARK_MASTER": f"spark://{self.host}:{self['CHURN_SPARK_PORT']}",
        }

    def is_own(self, address: str) -> bool:
        """Tell whether the stack runs the server of this variable; else the user has named another."""
        return self.variables.get(address, "") in ("", self.addresses[address])

    @property
    def clients(self) -> dict[str, str]:
        """What the pipeline needs to know of the servers that the stack runs."""
        told = {name: address for name, address in self.addresses.items() if self.is_own(name)}
        if "MLFLOW_TRACKING_URI" in told:
            told["MLFLOW_TRACKING_USERNAME"] = self["MLFLOW_TRACKING_USERNAME"]
        if "AWS_ENDPOINT_URL" in told:
            told["AWS_ACCESS_KEY_ID"] = self["MINIO_ROOT_USER"]
            told["AWS_SECRET_ACCESS_KEY"] = self["MINIO_ROOT_PASSWORD"]
            told["AWS_DEFAULT_REGION"] = "us-east-1"
        if "SPARK_MASTER" in told:
            told["SPARK_EVENT_LOG_DIR"] = str((FOLDER / "spark" / "events").absolute())
        return told

    @property
    def postgres_uri(self) -> str:
        """Where MLflow keeps its tables."""
        if own := self["CHURN_POSTGRES_URI"]:
            return own
        password, port = self["CHURN_POSTGRES_PASSWORD"], self["CHURN_POSTGRES_PORT"]
        return f"postgresql://postgres:{password}@{self.host}:{port}/postgres"

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with all of the stack's variables, secrets included."""
        return os.environ | dict(self.variables) | {"MLFLOW_BACKEND_STORE_URI": self.postgres_uri} | self.clients


def read_settings(path: Path = ENV_FILE) -> Settings:
    """Return the settings: defaults, then `.env`, then the environment, which wins.

    Raises
    ------
    UserError
        When a port is no number.
    """
    lasting = dotenv_values(stream=io.StringIO("\n".join(_lasting_lines(path))))
    variables = DEFAULTS | {name: value or "" for name, value in lasting.items()}
    for name in [*variables, *SECRETS, *ADDRESSES]:
        if name in os.environ:
            variables[name] = os.environ[name]
    for name, value in variables.items():
        if name.startswith("CHURN_") and name.endswith("_PORT") and not (value.isdigit() and 0 < int(value) < 65536):
            raise UserError(f"{name} is {value!r}, which is no port. Set it to a number from 1 to 65535 in {path}.")
    return Settings(variables)


def write_secrets(path: Path = ENV_FILE) -> None:
    """Make up what is missing of the secrets, once, in a file that only its owner may read."""
    lines = _lasting_lines(path)
    known = dotenv_values(stream=io.StringIO("\n".join(lines)))
    missing = [name for name in SECRETS if not known.get(name) and not os.environ.get(name)]
    if missing:
        lines += [f"{name}={secrets.token_urlsafe(24)}" for name in missing]
        _write(path, lines)


def tell_clients(settings: Settings, path: Path = ENV_FILE) -> None:
    """Write the addresses of what is up into `.env`."""
    told = [f"{name}={value}" for name, value in settings.clients.items()]
    _write(path, [*_lasting_lines(path), MARK, *told])


def untell_clients(path: Path = ENV_FILE) -> None:
    """Take the addresses out of `.env`: what follows runs on this machine alone, with the embedded store."""
    if path.exists():
        _write(path, _lasting_lines(path))


def _lasting_lines(path: Path) -> list[str]:
    lines = path.read_text().splitlines() if path.exists() else []
    return lines[: lines.index(MARK)] if MARK in lines else lines


def _write(path: Path, lines: list[str]) -> None:
    write_private(path, "".join(f"{line}\n" for line in lines))
