"""Get drops, artifacts and the run cache from the DVC remote `minio`.

Reads
    .env and the environment: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
Writes
    DVC's cache, and the files named by the pointers and dvc.lock
"""

import argparse

from churn.base.command import run_command
from churn.stack.transfer import sync_remote


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    sync_remote("pull")


if __name__ == "__main__":
    run_command(main)
