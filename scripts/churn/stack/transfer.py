"""Send drops, artifacts and the run cache to the DVC remote `minio`, or get them from there."""

import os
import subprocess
import sys

from churn.base.command import UserError
from churn.stack.buckets import check_bucket
from churn.stack.settings import DVC_BUCKET

REMOTE = "minio"


def sync_remote(direction: str) -> None:
    """Run `dvc push` or `dvc pull`, after a look whether the remote answers.

    Raises
    ------
    UserError
        When no S3 server is named, it does not answer or refuses, or DVC fails.
    """
    address = os.environ.get("AWS_ENDPOINT_URL")
    if not address:
        raise UserError(
            "AWS_ENDPOINT_URL is not set, so there is no S3 server to go to. Start one here with: make up; or set "
            "AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in .env."
        )
    check_bucket(DVC_BUCKET)
    command = [sys.executable, "-m", "dvc", direction, "--remote", REMOTE, "--run-cache"]
    # Two retries with back-off: the client's own five take most of a minute to say that a server is gone.
    environment = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "3"} | os.environ
    if subprocess.run(command, env=environment, check=False).returncode:
        raise UserError(
            f"DVC could not {direction} all of it; what it said of S3 at {address} stands above. Mend that, then run "
            f"again: make {direction}; what is there already is not sent twice."
        )
