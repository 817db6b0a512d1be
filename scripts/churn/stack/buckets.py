"""Create the S3 buckets that the stack needs, with versioning, and check that one can be read."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from churn.base.addresses import hide_logins
from churn.base.command import UserError

# With the client's defaults, a server that is down is reported only after minutes.
CLIENT = Config(connect_timeout=5, read_timeout=20, retries={"max_attempts": 3, "mode": "standard"})


@contextmanager
def open_s3(environment: Mapping[str, str] = os.environ) -> Iterator[Any]:
    """Yield a client of the S3 server at AWS_ENDPOINT_URL; its errors become a `UserError`."""
    address = environment.get("AWS_ENDPOINT_URL")
    try:
        yield boto3.client(
            "s3",
            endpoint_url=address,
            aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
            region_name=environment.get("AWS_DEFAULT_REGION"),
            verify=environment.get("AWS_CA_BUNDLE") or None,
            config=CLIENT,
        )
    except (BotoCoreError, ClientError, ValueError) as error:
        raise UserError(
            f"S3 at {hide_logins(str(address))}: {hide_logins(str(error)).rstrip('.')}. Check that it is running "
            "(make up) and that AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are right (in the "
            "environment, or else in .env)."
        ) from error


def make_buckets(names: list[str], environment: Mapping[str, str]) -> None:
    """Create the missing buckets, and turn on versioning for all of them."""
    with open_s3(environment) as s3:
        existing = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
        for name in names:
            if name not in existing:
                s3.create_bucket(Bucket=name)
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def check_bucket(name: str) -> None:
    """Raise `UserError` when a bucket cannot be listed."""
    with open_s3() as s3:
        s3.list_objects_v2(Bucket=name, MaxKeys=1)
