"""Stop the containers of `make up-containers`; their data stays in Docker's volumes.

Reads
    the containers that Docker runs for this folder
Writes
    .env and .dvc/config.local: without the servers' addresses
"""

import argparse

from churn.base.command import run_command
from churn.stack.containers import Containers
from churn.stack.manager import Manager
from churn.stack.settings import FOLDER
from churn.stack.start import stop_stack


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    stopped = stop_stack(Containers(), other=Manager(FOLDER))
    print("The containers are stopped." if stopped else "No containers were running.")


if __name__ == "__main__":
    run_command(main)
