"""Start the stack and stop it, natively or in containers: what both ways do alike."""

import errno
import shutil
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from churn.base.addresses import hide_logins
from churn.base.command import UserError
from churn.stack.buckets import make_buckets
from churn.stack.checks import LOGIN_CHANGED
from churn.stack.opening import certificate_changed, check_opening, write_certificate
from churn.stack.private_files import write_private_ini
from churn.stack.remote import configure_dvc, reset_dvc
from churn.stack.s3_users import make_users
from churn.stack.services import Service, list_names, list_services
from churn.stack.settings import (
    ARTIFACT_BUCKET,
    DVC_BUCKET,
    FOLDER,
    SPARK_LOGIN,
    Settings,
    read_settings,
    remove_addresses,
    write_addresses,
    write_secrets,
)
from churn.stack.spark_login import write_spark_login
from churn.stack.variables import have_changed, write_variables

START_TIMEOUT_SECONDS = 120.0
# How PostgreSQL says that a password is wrong.
LOGIN_REFUSED = "password authentication failed"


class Runner(Protocol):
    """A way to run the services: as processes of this machine, or as containers."""

    # The commands that start and stop the services this way, and where they run then.
    up: str
    down: str
    place: str
    # What to do when PostgreSQL refuses the password in `.env`.
    lost_login: str

    def is_running(self) -> bool:
        """Return whether any service of this folder runs."""

    def runs(self, services: Iterable[Service]) -> bool:
        """Return whether these services, and no others, run with these settings.

        Raises
        ------
        UserError
            When other services run, or these with other settings.
        """

    def install(self, names: list[str]) -> None:
        """Get the programs or images of services."""

    def start(self, services: Iterable[Service], settings: Settings) -> None:
        """Start those of the services that do not run."""

    def stop(self) -> bool:
        """Stop all services; return whether any ran."""

    def failure(self, name: str) -> str | None:
        """Return the state of a service that keeps failing; None while it may still become healthy."""

    def log(self, name: str) -> tuple[str, list[str]]:
        """Return where a service's log is, and its last lines."""

    def variables(self) -> dict[str, str]:
        """Return what belongs in `.env` while the services run, besides their addresses."""


def start_stack(runner: Runner, other: Runner) -> list[Service]:
    """Start the services that do not run, and return when all of them answer.

    Parameters
    ----------
    runner, other : Runner
        How to run the services, and how they must not be running already.

    Raises
    ------
    UserError
        When a port is in use, a program is missing, or a service does not answer.
    """
    if other.is_running():
        raise UserError(f"The servers are running {other.place} already. Use those, or stop them first: {other.down}")
    check_opening(read_settings())
    write_secrets()
    settings = read_settings()
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    runner.install(list_names(settings))
    services = list_services(settings, FOLDER.absolute())
    ran = runner.runs(services)
    names = [service.name for service in services]
    if ran and (have_changed(names, settings, FOLDER) or certificate_changed(settings, FOLDER)):
        raise UserError(f"The settings have changed since the stack was started. Run: {runner.down}; then: {runner.up}")
    if not ran:
        check_ports(services)
        write_files(settings, FOLDER)
        for service in services:
            write_variables(service.name, settings, FOLDER)
    try:
        runner.start(services, settings)
        wait(runner, services)
        make_buckets([DVC_BUCKET, ARTIFACT_BUCKET], settings.s3_owner)
        if settings.is_managed("AWS_ENDPOINT_URL"):
            make_users(settings)
    except BaseException:
        if not ran:
            # The first error is the one to show.
            with suppress(UserError):
                runner.stop()
            remove_addresses()
            reset_dvc()
        raise
    write_addresses(settings.clients | runner.variables(), runner.down)
    configure_dvc(settings, FOLDER)
    return services


def stop_stack(runner: Runner, other: Runner) -> bool:
    """Stop the services, and let later commands run on this machine only; return whether any ran.

    Raises
    ------
    UserError
        When they run the other way: clients keep their addresses while servers run.
    """
    stopped = runner.stop()
    if other.is_running():
        raise UserError(f"The servers are running {other.place}. To stop them: {other.down}")
    remove_addresses()
    reset_dvc()
    return stopped


def show(services: Iterable[Service]) -> None:
    """Print a line per service: its name and address."""
    for service in services:
        print(f"{service.name:<16}{hide_logins(service.address)}")


def check_ports(services: list[Service]) -> None:
    """Raise `UserError` when another program listens on a port that a service needs."""
    for service in services:
        for variable, (bind, port) in service.ports.items():
            with socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((bind, int(port)))
                except OSError as error:
                    if error.errno == errno.EADDRNOTAVAIL:
                        raise UserError(
                            f"CHURN_BIND_ADDRESS is {bind}, which is not an address of this machine. Set one of its "
                            "own in .env (`ip address` lists them)."
                        ) from None
                    raise UserError(
                        f"{service.name} needs port {port} of {bind}: {error.strerror}. Stop the program "
                        f"that listens there, or set {variable} in .env to another port."
                    ) from None


def write_files(settings: Settings, folder: Path) -> None:
    """Write the files that the services read when they start, and make the folders that they write to."""
    # Otherwise Spark's master waits a minute for the previous workers.
    shutil.rmtree(folder / "spark" / "recovery", ignore_errors=True)
    for place in "logs", "spark/events":
        (folder / place).mkdir(parents=True, exist_ok=True)
    write_spark_login(settings.addresses["SPARK_MASTER"], folder / SPARK_LOGIN.relative_to(FOLDER))
    write_certificate(settings, folder)
    login = {
        # Users may read, but not change, what others have created.
        "default_permission": "READ",
        "database_uri": settings.postgres_uri,
        "admin_username": settings["MLFLOW_TRACKING_USERNAME"],
        "admin_password": settings["MLFLOW_TRACKING_PASSWORD"],
    }
    # MLflow reads a single percent sign as the start of a reference.
    escaped = {name: value.replace("%", "%%") for name, value in login.items()}
    write_private_ini(folder / "mlflow_auth.ini", {"mlflow": escaped})


def wait(runner: Runner, services: Iterable[Service]) -> None:
    """Return once all services are healthy.

    Raises
    ------
    UserError
        When one keeps failing, or is not healthy in time. The message has the end of its log.
    """
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    for service in services:
        while problem := service.check():
            if LOGIN_REFUSED in problem:
                raise UserError(
                    f"{service.name} at {hide_logins(service.address)} refuses the login. {runner.lost_login}"
                )
            if problem == LOGIN_CHANGED:
                raise UserError(f"{service.name} at {hide_logins(service.address)} refuses the login: {problem}.")
            failure = runner.failure(service.name)
            if failure or time.monotonic() > deadline:
                place, lines = runner.log(service.name)
                raise UserError(
                    f"{service.name} at {hide_logins(service.address)} did not start ({failure or 'running'}): "
                    f"{problem}. The end of {place}:\n" + "\n".join(f"    {line}" for line in lines)
                )
            time.sleep(0.3)
