"""Send drops, artifacts and the run cache to the DVC remote `minio`, and verify that it holds them.

Reads
    .env and the environment: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
Writes
    the bucket churn-dvc
"""

import argparse

from churn.base.command import run_command
from churn.stack.transfer import push_verified


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print(f"The remote holds all {push_verified()} objects of the last commit.")


if __name__ == "__main__":
    run_command(main)
