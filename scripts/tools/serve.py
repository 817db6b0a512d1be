"""Run one service of the stack in the foreground: the command of its container.

Reads
    .env and the environment
"""

import argparse
import os

from churn.base.command import UserError, run_command
from churn.stack.services import SERVICES, make_service
from churn.stack.settings import FOLDER, SECRETS, read_settings


def serve(name: str) -> None:
    """Become the process of a service: the same command and environment as in the native stack.

    Raises
    ------
    UserError
        When the stack was never started here, or the program is missing.
    """
    settings = read_settings()
    if any(not settings.variables.get(secret) for secret in SECRETS) or not (FOLDER / "mlflow_auth.ini").exists():
        raise UserError("The stack has not been set up here. Start it once: make up, or make up-containers")
    service = make_service(name, settings, FOLDER.absolute())
    try:
        os.execvpe(service.command[0], service.command, settings.environment | service.environment)
    except FileNotFoundError:
        raise UserError(f"{name} is not installed. To install it, start it once with: make up") from None


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=SERVICES)
    serve(parser.parse_args().name)


if __name__ == "__main__":
    run_command(main)
