"""Stop the stack of compose.yaml; its data stays in Docker's volumes.

Reads
    compose.yaml, .env and the environment
Writes
    .env and .dvc/config.local: without the servers' addresses
"""

import argparse

from churn.base.command import run_command
from churn.stack.containers import stop_containers


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    stop_containers()


if __name__ == "__main__":
    run_command(main)
