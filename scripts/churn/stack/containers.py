"""The stack of compose.yaml: started and stopped with Docker."""

import subprocess

from churn.base.command import UserError
from churn.stack.remote import tell_dvc, untell_dvc
from churn.stack.settings import FOLDER, read_settings, tell_clients, untell_clients, write_secrets


def start_containers() -> None:
    """Start all services, and return when all answer.

    Raises
    ------
    UserError
        When Docker is missing, or a container does not start.
    """
    write_secrets()
    settings = read_settings()
    compose("up", "--detach", "--wait", environment=settings.environment)
    # What clients read; the containers' data is in Docker's volumes.
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    (FOLDER / "spark" / "events").mkdir(parents=True, exist_ok=True)
    tell_clients(settings)
    tell_dvc(settings, FOLDER)


def stop_containers() -> None:
    """Stop all services; their data stays in Docker's volumes."""
    compose("down", environment=read_settings().environment)
    untell_clients()
    untell_dvc()


def compose(*arguments: str, environment: dict[str, str]) -> None:
    """Run `docker compose`; its own messages go to the terminal."""
    try:
        code = subprocess.run(["docker", "compose", *arguments], env=environment, check=False).returncode
    except FileNotFoundError:
        raise UserError("Docker is not installed. Install it, or start the same stack without it: make up") from None
    if code:
        raise UserError(f"docker compose {arguments[0]} failed; what it said stands above. Without Docker: make up")
