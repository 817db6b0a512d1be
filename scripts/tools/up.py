"""Start the stack on this machine: MinIO, PostgreSQL, the MLflow server, Spark and the dashboard.

Reads
    .env and the environment: ports, addresses, logins (.env.example explains each)
Writes
    .env: random logins, once, and the servers' addresses while they run
    .stack: data, logs and settings of the services
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
    show(start_stack(Manager(FOLDER), other=Containers()))


if __name__ == "__main__":
    run_command(main)
