"""Start the stack on this machine: MinIO, PostgreSQL, the MLflow server, Spark and the dashboard.

Reads
    .env and the environment: ports, addresses, logins (.env.example explains each)
Writes
    .env: random logins, once, and where the servers are, while they are up
    .stack: data, logs and settings of the services
"""

import argparse
import shutil
import socket
from pathlib import Path

from churn.base.command import UserError, run_command
from churn.stack.buckets import make_buckets
from churn.stack.manager import Manager
from churn.stack.minio import install_minio
from churn.stack.postgres import prepare_postgres
from churn.stack.private_files import write_private_ini
from churn.stack.remote import configure_dvc
from churn.stack.services import Service, list_services
from churn.stack.settings import (
    ARTIFACT_BUCKET,
    DVC_BUCKET,
    FOLDER,
    Settings,
    read_settings,
    write_addresses,
    write_secrets,
)


def start_stack(folder: Path) -> list[Service]:
    """Start what does not run, and return when all answer.

    Parameters
    ----------
    folder : Path
        Where the services keep their data and logs.

    Raises
    ------
    UserError
        When a port is taken, something to start is missing, or a service does not answer.
    """
    write_secrets()
    settings = read_settings()
    if settings.is_managed("AWS_ENDPOINT_URL"):
        install_minio()
    folder.mkdir(mode=0o700, exist_ok=True)
    services = list_services(settings, folder.absolute())
    manager = Manager(folder)
    if not manager.runs(services):
        check_ports(settings["CHURN_BIND_ADDRESS"], services)
        prepare(settings, services, folder)
        manager.start(services, settings.environment)
    try:
        for service in services:
            manager.start_service(service.name)
        manager.wait(services)
        make_buckets([DVC_BUCKET, ARTIFACT_BUCKET], settings.environment)
    except UserError:
        manager.stop()
        raise
    write_addresses(settings)
    configure_dvc(settings, folder)
    return services


def check_ports(bind: str, services: list[Service]) -> None:
    """Raise `UserError` when another program listens on a port that a service needs."""
    for service in services:
        for variable, port in service.ports.items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((bind, int(port)))
                except OSError as error:
                    raise UserError(
                        f"{service.name} needs port {port} of {bind}: {error.strerror}. Stop what listens there, or "
                        f"set {variable} in .env to another port."
                    ) from None


def prepare(settings: Settings, services: list[Service], folder: Path) -> None:
    """Write what the services read when they start."""
    names = {service.name for service in services}
    if "postgres" in names:
        prepare_postgres(folder / "postgres", settings["CHURN_POSTGRES_PASSWORD"])
    # Spark's master would wait a minute for workers of the last time.
    shutil.rmtree(folder / "spark" / "recovery", ignore_errors=True)
    for place in "logs", "spark/events":
        (folder / place).mkdir(parents=True, exist_ok=True)
    login = {
        # What a user makes is for others to read, not to change.
        "default_permission": "READ",
        "database_uri": settings.postgres_uri,
        "admin_username": settings["MLFLOW_TRACKING_USERNAME"],
        "admin_password": settings["MLFLOW_TRACKING_PASSWORD"],
    }
    # MLflow reads a single percent sign as the start of a reference.
    escaped = {name: value.replace("%", "%%") for name, value in login.items()}
    write_private_ini(folder / "mlflow_auth.ini", {"mlflow": escaped})


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    for service in start_stack(FOLDER):
        print(f"{service.name:<16}{service.address}")


if __name__ == "__main__":
    run_command(main)
