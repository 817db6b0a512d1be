"""The S3 buckets that the stack needs: made where they are missing, and versioned."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from churn.base.command import UserError

# It gives up after some seconds, not after minutes.
PATIENCE = Config(connect_timeout=5, read_timeout=20, retries={"max_attempts": 3, "mode": "standard"})


@contextmanager
def open_s3(environment: Mapping[str, str] = os.environ) -> Iterator:
    """Give a client of the S3 server that an environment names; an error inside ends as a `UserError`."""
    address = environment.get("AWS_ENDPOINT_URL")
    try:
        yield boto3.client(
            "s3",
            endpoint_url=address,
            aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
            region_name=environment.get("AWS_DEFAULT_REGION"),
            config=PATIENCE,
        )
    except (BotoCoreError, ClientError, ValueError) as error:
        raise UserError(
            f"S3 at {address}: {error} Check that it runs (make up) and that AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY are right (in the environment, else in .env)."
        ) from error


def make_buckets(names: list[str], environment: Mapping[str, str]) -> None:
    """Make the buckets that are missing, and switch their versions on."""
    with open_s3(environment) as s3:
        there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
        for name in names:
            if name not in there:
                s3.create_bucket(Bucket=name)
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def check_bucket(name: str) -> None:
    """Raise `UserError` when the S3 server that the environment names does not let us list a bucket."""
    with open_s3() as s3:
        s3.list_objects_v2(Bucket=name, MaxKeys=1)
