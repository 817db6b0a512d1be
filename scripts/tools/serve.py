"""Run one service of the stack in the foreground, as `make up` and its container do, or check that it is healthy.

Reads
    .stack/services/NAME.json: the variables of this service, which `make up` and `make up-containers` write
"""

import argparse
import os

from churn.base.command import UserError, run_command
from churn.stack.services import SERVICES, make_service
from churn.stack.settings import FOLDER
from churn.stack.variables import machine_variables, read_variables


def serve(name: str) -> None:
    """Become the process of a service, with its own variables and no others.

    Raises
    ------
    UserError
        When the stack was never started here, or the program is missing.
    """
    service = make_service(name, read_variables(name, FOLDER), FOLDER.absolute())
    try:
        os.execvpe(service.command[0], service.command, machine_variables() | service.environment)
    except FileNotFoundError:
        raise UserError(f"{name} is not installed. To install it, start it once with: make up") from None


def check(name: str) -> None:
    """Raise `UserError` when a service is not healthy."""
    service = make_service(name, read_variables(name, FOLDER), FOLDER.absolute())
    if problem := service.check():
        raise UserError(f"{name} at {service.address}: {problem}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=SERVICES)
    parser.add_argument("--check", action="store_true", help="only say whether it is healthy")
    arguments = parser.parse_args()
    (check if arguments.check else serve)(arguments.name)


if __name__ == "__main__":
    run_command(main)
