"""Start the stack of compose.yaml with Docker.

Reads
    compose.yaml, .env and the environment
Writes
    .env: random logins, once, and the servers' addresses while they run
"""

import argparse

from churn.base.command import run_command
from churn.stack.containers import start_containers


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    start_containers()


if __name__ == "__main__":
    run_command(main)
