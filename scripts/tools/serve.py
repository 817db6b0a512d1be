"""Run one service of the stack in the foreground: the command of its container.

Reads
    .env and the environment
"""

import argparse
import os

from churn.base.command import run_command
from churn.stack.services import SERVICES, make_service
from churn.stack.settings import FOLDER, read_settings


def serve(name: str) -> None:
    """Become the process of a service: the same command and environment as in the native stack."""
    settings = read_settings()
    service = make_service(name, settings, FOLDER.absolute())
    os.execvpe(service.command[0], service.command, settings.environment | service.environment)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=SERVICES)
    serve(parser.parse_args().name)


if __name__ == "__main__":
    run_command(main)
