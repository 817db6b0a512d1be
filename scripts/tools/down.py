"""Stop the stack; its data stays in .stack, and later commands run on this machine only.

Reads
    .stack
Writes
    .env and .dvc/config.local: without the servers' addresses
"""

import argparse

from churn.base.command import run_command
from churn.stack.manager import Manager
from churn.stack.remote import reset_dvc
from churn.stack.settings import FOLDER, remove_addresses


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    stopped = Manager(FOLDER).stop()
    remove_addresses()
    reset_dvc()
    print("The stack is stopped." if stopped else "The stack was not running.")


if __name__ == "__main__":
    run_command(main)
