"""Start and stop the stack with Docker, from compose.yaml."""

import subprocess

from churn.base.command import UserError
from churn.stack.remote import configure_dvc, reset_dvc
from churn.stack.settings import FOLDER, read_settings, remove_addresses, write_addresses, write_secrets


def start_containers() -> None:
    """Start all services, and return once they are healthy.

    Raises
    ------
    UserError
        When Docker is missing, or a container does not start.
    """
    write_secrets()
    settings = read_settings()
    compose("up", "--detach", "--wait", environment=settings.environment)
    # Only for the clients on this machine: the containers keep their data in Docker's volumes.
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    (FOLDER / "spark" / "events").mkdir(parents=True, exist_ok=True)
    write_addresses(settings)
    configure_dvc(settings, FOLDER)


def stop_containers() -> None:
    """Stop all services; their data stays in Docker's volumes."""
    compose("down", environment=read_settings().environment)
    remove_addresses()
    reset_dvc()


def compose(*arguments: str, environment: dict[str, str]) -> None:
    """Run `docker compose`; its messages go to the terminal."""
    try:
        code = subprocess.run(["docker", "compose", *arguments], env=environment, check=False).returncode
    except FileNotFoundError:
        raise UserError("Docker is not installed. Install it, or start the same services without it: make up") from None
    if code:
        raise UserError(f"docker compose {arguments[0]} failed; its messages are above. Without Docker: make up")
