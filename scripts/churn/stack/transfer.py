"""Push drops, artifacts and the run cache to the DVC remote `minio` and verify that they are there, or pull them."""

import os
import subprocess
import sys

from churn.base.command import UserError
from churn.stack.buckets import check_bucket
from churn.stack.settings import DVC_BUCKET

REMOTE = "minio"


def sync_remote(direction: str) -> None:
    """Run `dvc push` or `dvc pull`, after a check that the remote answers.

    Raises
    ------
    UserError
        When no S3 server is configured, it does not answer, it refuses the login, or DVC fails.
    """
    address = os.environ.get("AWS_ENDPOINT_URL")
    if not address:
        raise UserError(
            "No S3 server: AWS_ENDPOINT_URL is not set. Start one on this machine with: make up; or set "
            "AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in .env."
        )
    check_bucket(DVC_BUCKET)
    command = [sys.executable, "-m", "dvc", direction, "--remote", REMOTE, "--run-cache"]
    # Two retries: with the default of four, it takes most of a minute to report that a server is gone.
    environment = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "3"} | os.environ
    if subprocess.run(command, env=environment, check=False).returncode:
        raise UserError(
            f"dvc {direction} failed for some files; its messages about S3 at {address} are above. Fix that, then run "
            f"again: make {direction}. Files that have arrived are not sent again."
        )


def verify_remote() -> int:
    """Check that the remote holds every object of the last commit and every known run; return how many those are.

    Raises
    ------
    UserError
        When one is missing, the server does not answer, or it refuses the login.
    """
    from churn.stack.remote_objects import describe, find_missing

    number, missing = find_missing()
    if missing:
        raise UserError(
            f"The remote lacks {len(missing)} of the {number} objects of the last commit: {describe(missing)}. "
            "Run make push in a clone that has them."
        )
    return number
