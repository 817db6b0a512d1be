"""Get drops and artifacts from the DVC remote `minio`; an object that was changed there is refused.

Reads
    .env and the environment: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
Writes
    DVC's cache, with the run cache of what dvc.lock says, and the files named by the pointers and dvc.lock
"""

import argparse
from datetime import date
from pathlib import Path

from churn.base.command import UserError, run_command
from churn.base.drops import parse_drop, read_drops
from churn.deliveries.folders import STAGES
from churn.stack.transfer import remember_runs, sync_remote

LISTING = Path("data/drops.yaml")


def check_listed(drop: date) -> None:
    """Raise `UserError` unless the drop is listed."""
    listed = read_drops(LISTING)
    if drop not in listed:
        raise UserError(
            f"{LISTING} does not list {drop}; it lists {len(listed)} drops from {listed[0]} to {listed[-1]}."
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--drop", type=parse_drop, help="only what is of this drop, YYYY-MM-DD")
    args = parser.parse_args()
    if args.drop:
        check_listed(args.drop)
    sync_remote(
        "pull", [f"data/raw/{args.drop}.dvc", *(f"{stage}@{args.drop}" for stage in STAGES)] if args.drop else []
    )
    remember_runs()


if __name__ == "__main__":
    run_command(main)
