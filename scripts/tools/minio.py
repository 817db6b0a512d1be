"""Build MinIO into .tools/ if no `minio` is on PATH.

Reads
    Go's module proxy
Writes
    .tools/minio
"""

import argparse

from churn.base.command import run_command
from churn.stack.minio import install_minio


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print(f"MinIO is {install_minio()}")


if __name__ == "__main__":
    run_command(main)
