"""Run the stack's services as containers, from compose.yaml."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from churn.base.command import UserError
from churn.stack.docker import ask_docker, compose, inspect_image, reason_of, run_docker
from churn.stack.postgres import set_up_statements
from churn.stack.services import SERVICES, Service
from churn.stack.settings import MARK, Settings, read_settings, stopped_by

# The first that writes a file of compose.yaml's `configs` into a container.
OLDEST_COMPOSE = (2, 23, 1)
PROJECT = "churn-pipeline"
IMAGE_VERSION = "0.1.0"
# The service that builds the image; the others use it.
BUILDER = "mlflow"
LABEL = "com.docker.compose"
# What is in the image, and how it got there.
INPUTS = ("Dockerfile", "requirements-servers.lock", "scripts/tools/install.py")
INPUTS_LABEL = "churn.inputs"
# Driver and executors of Spark need the same minor version of Python. The digests are those of the official images.
PYTHON_IMAGES = {
    (3, 11): "python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d",
    (3, 12): "python:3.12.12-slim-bookworm@sha256:593bd06efe90efa80dc4eee3948be7c0fde4134606dd40d8dd8dbcade98e669c",
    (3, 13): "python:3.13.11-slim-bookworm@sha256:20080e807bfc404f8450b185cf0fc95d553462673598549613735f70a5b4d5d0",
}
# Docker restarts a service that ends; after so many restarts, it will not become healthy.
MAX_RESTARTS = 10
# For PostgreSQL to make its volume at the first start.
SET_UP_SECONDS = 60


class Containers:
    """The containers of this folder: a `churn.stack.start.Runner`."""

    up, down, place = "make up-containers", "make down-containers", "in containers"

    def __init__(self) -> None:
        self._restarts: dict[str, int] = {}

    @property
    def lost_login(self) -> str:
        """What to do when PostgreSQL refuses the password, which its volume keeps from its first start."""
        volume = f"{project_name()}_postgres"
        return (
            f"The volume {volume} was made with another CHURN_POSTGRES_PASSWORD. Restore the .env of that time, or "
            f"erase the data, with all registered versions: {self.down}; docker volume rm {volume}; {self.up}"
        )

    def is_running(self) -> bool:
        """Return whether any container of this folder runs; without Docker, none does."""
        return bool(own_containers())

    def install(self, names: list[str]) -> None:
        """Get the missing images: build this project's own, download the others.

        Raises
        ------
        UserError
            When Docker is missing, too old or stopped, or an image cannot be built or downloaded.
        """
        check_docker()
        check_other_folder()
        environment = compose_environment(read_settings())
        images = json.loads(compose("config", "--format", "json", environment=environment))["services"]
        foreign = {name: images[name]["image"] for name in names if images[name]["image"] != image_name()}
        if missing := [name for name, image in foreign.items() if inspect_image(image) is None]:
            print(f"Downloading {', '.join(foreign[name] for name in missing)} ...", flush=True)
            compose("pull", "--quiet", *missing, environment=environment)
        if len(foreign) < len(names):
            build_image(environment)

    def runs(self, services: Iterable[Service]) -> bool:
        """Return whether containers of these services run, with these settings.

        Raises
        ------
        UserError
            When containers of other services run, or of these with other settings.
        """
        running = own_containers()
        if not running:
            return False
        names = [service.name for service in services]
        lines = compose("config", "--hash", "*", environment=compose_environment(read_settings())).splitlines()
        wanted = dict(line.split() for line in lines)
        for container in running:
            name, found = service_of(container), container["Config"]["Labels"][f"{LABEL}.config-hash"]
            if name not in names or found != wanted[name]:
                raise UserError(
                    f"The settings have changed since {name} was started. Run: {self.down}; then: {self.up}"
                )
        return True

    def start(self, services: Iterable[Service], settings: Settings) -> None:
        """Start those of the services that do not run."""
        names, environment = [service.name for service in services], compose_environment(settings)
        if "postgres" in names:
            compose("up", "--detach", "--no-build", "postgres", environment=environment)
            set_up_database(settings["CHURN_POSTGRES_PASSWORD"], environment)
        compose("up", "--detach", "--no-build", *names, environment=environment)
        self._restarts = {service_of(container): container["RestartCount"] for container in own_containers()}

    def stop(self) -> bool:
        """Stop and remove the containers of this folder; return whether any ran. Volumes stay."""
        found = own_containers("--all")
        projects = {container["Config"]["Labels"][f"{LABEL}.project"] for container in found}
        for project in projects:
            # By its name alone: without compose.yaml, no variable of .env is needed.
            run_docker("compose", "--project-name", project, "down", environment=os.environ | {"COMPOSE_FILE": ""})
        return any(container["State"]["Running"] for container in found)

    def failure(self, name: str) -> str | None:
        """Return a service's state if Docker restarts it again and again, or has given it up."""
        for container in own_containers("--all"):
            if service_of(container) == name:
                restarts = container["RestartCount"] - self._restarts.get(name, 0)
                if restarts >= MAX_RESTARTS:
                    return f"restarted {restarts} times"
                return container["State"]["Status"] if container["State"]["Status"] in ("exited", "dead") else None
        return "no container"

    def log(self, name: str) -> tuple[str, list[str]]:
        """Return the command that shows a service's log, and its last lines."""
        lines = compose(
            "logs", "--no-log-prefix", "--tail", "10", name, environment=compose_environment(read_settings())
        )
        return f"`docker compose logs {name}`", lines.splitlines()

    def variables(self) -> dict[str, str]:
        """Return what compose.yaml needs, so that plain `docker compose` commands work while the services run."""
        return {"CHURN_USER": compose_environment(read_settings())["CHURN_USER"]}


def check_docker() -> None:
    """Raise `UserError` when Docker is missing, has no recent Compose, or does not answer."""
    native = "or start the same services without it: make up"
    if shutil.which("docker") is None:
        raise UserError(f"Docker is not installed. Install it, {native}")
    oldest = ".".join(map(str, OLDEST_COMPOSE))
    answer = subprocess.run(["docker", "compose", "version", "--short"], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise UserError(f"This Docker has no Compose. Install its Compose plugin, {oldest} or newer, {native}")
    # A Compose that someone built has no number, and is taken for a new one.
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", answer.stdout.strip())
    if found and tuple(map(int, found.groups())) < OLDEST_COMPOSE:
        raise UserError(f"Docker Compose is {answer.stdout.strip()}. Install {oldest} or newer, {native}")
    answer = ask_docker("info", "--format", "{{.SecurityOptions}}")
    if answer.returncode:
        raise UserError(f"Docker does not answer: {reason_of(answer)} Start Docker, {native}")
    if "rootless" in answer.stdout:
        # Its host network is not the host's, and its users are not this machine's.
        raise UserError(f"This Docker is rootless, and its containers cannot reach the pipeline. Use another, {native}")


def check_other_folder() -> None:
    """Raise `UserError` when the project's containers were started in another folder: they would be replaced."""
    project = project_name()
    for container in list_containers(f"{LABEL}.project={project}"):
        folder = container["Config"]["Labels"][f"{LABEL}.project.working_dir"]
        if folder != str(Path.cwd()):
            raise UserError(
                f"Containers named {project} are running for {folder}. Stop them there (make down-containers), or "
                "set COMPOSE_PROJECT_NAME and other ports in .env (.env.example lists them)."
            )


def build_image(environment: dict[str, str]) -> None:
    """Build the image, unless it has been built from the same files for the same Python."""
    version = sys.version_info[:2]
    if (base := PYTHON_IMAGES.get(version)) is None:
        known = ", ".join(".".join(map(str, known)) for known in PYTHON_IMAGES)
        raise UserError(
            f"The containers have no Python {'.'.join(map(str, version))}, which Spark's driver here would need. Run: "
            f"rm -r .venv; make install PYTHON=python3.NN with one of {known}; or start without containers: make up"
        )
    digest = sha256(base.encode() + b"".join(Path(name).read_bytes() for name in INPUTS)).hexdigest()
    found = inspect_image(image_name())
    if found and (found["Config"]["Labels"] or {}).get(INPUTS_LABEL) == digest:
        return
    reason = f"{', '.join(INPUTS)} or Python have changed" if found else "only this once"
    print(f"Building the image {image_name()} ({reason}; about two minutes) ...", flush=True)
    arguments = (f"PYTHON_IMAGE={base}", f"INPUTS={digest}")
    compose("build", *(f"--build-arg={argument}" for argument in arguments), BUILDER, environment=environment)


def compose_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of `docker compose`: the stack's, with what compose.yaml needs besides."""
    return {"CHURN_USER": f"{os.getuid()}:{os.getgid()}"} | settings.environment | {"PWD": str(Path.cwd())}


def set_up_database(password: str, environment: dict[str, str]) -> None:
    """Give MLflow a role of its own in the running PostgreSQL, and take the password from the superuser.

    Raises
    ------
    UserError
        When PostgreSQL does not take it in time.
    """
    # Not by its Unix socket: the image first starts a server there that it stops again.
    client = ("psql", "--host=127.0.0.1", "--username=postgres", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1")
    statements = "".join(f"{statement};\n" for statement in set_up_statements(password))
    deadline = time.monotonic() + SET_UP_SECONDS
    while True:
        try:
            compose("exec", "--no-TTY", "postgres", *client, environment=environment, text=statements)
            return
        except UserError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def own_containers(*options: str) -> list[dict[str, Any]]:
    """Return what Docker knows of the stack's containers that were started from this folder.

    Raises
    ------
    UserError
        When Docker does not answer, and `.env` says that the servers run in containers.
    """
    found = list_containers(f"{LABEL}.project.working_dir={Path.cwd()}", *options)
    return [container for container in found if service_of(container) in SERVICES]


def service_of(container: dict[str, Any]) -> str:
    """Return the name of a container's service."""
    return str(container["Config"]["Labels"][f"{LABEL}.service"])


def list_containers(label: str, *options: str) -> list[dict[str, Any]]:
    """Return what Docker knows of the running containers with a label; nothing if there is no Docker."""
    answer = ask_docker("ps", "--quiet", "--no-trunc", "--filter", f"label={label}", *options)
    if answer.returncode and stopped_by() == Containers.down:
        raise UserError(
            f"The servers run in containers, by .env, but Docker does not answer: {reason_of(answer)} Start Docker and "
            f"run again; if it is gone for good, remove the lines below `{MARK}` from .env."
        )
    found = answer.stdout.split() if answer.returncode == 0 else []
    # What is gone meanwhile is left out.
    return json.loads(ask_docker("inspect", *found).stdout or "[]") if found else []


def project_name() -> str:
    """Return the name of the Compose project, with which its containers, volumes and image begin."""
    return os.environ.get("COMPOSE_PROJECT_NAME") or PROJECT


def image_name() -> str:
    """Return the name of the image that is built here."""
    return f"{project_name()}:{IMAGE_VERSION}"
