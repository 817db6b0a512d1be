"""Start the stack of compose.yaml with Docker: the same services, ports and logins as `make up`.

Reads
    compose.yaml, Dockerfile, requirements-servers.lock; .env and the environment, as `make up` does
Writes
    .env: random logins, once, and the servers' addresses while they run
    .stack: settings of the services; their data is in Docker's volumes
"""

import argparse

from churn.base.command import run_command
from churn.stack.containers import Containers
from churn.stack.manager import Manager
from churn.stack.settings import FOLDER
from churn.stack.start import show, start_stack


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    show(start_stack(Containers(), other=Manager(FOLDER)))


if __name__ == "__main__":
    run_command(main)
