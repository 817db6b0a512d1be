"""Stop the stack; its data stays in .stack, and later commands run on this machine only.

Reads
    .stack
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
    stopped = stop_stack(Manager(FOLDER), other=Containers())
    print("The stack is stopped." if stopped else "The stack was not running.")


if __name__ == "__main__":
    run_command(main)
