"""The users of the stack's MinIO, and what each may do. Root only creates them, and the buckets."""

import json
from typing import Any
from urllib.parse import urlsplit

import urllib3
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException
from minio.minioadmin import MinioAdmin

from churn.base.command import UserError
from churn.stack.settings import (
    ARTIFACT_BUCKET,
    DVC_BUCKET,
    MLFLOW_USER,
    PIPELINE_USER,
    READER_USER,
    REGION,
    Settings,
)

LIST = ["s3:ListBucket", "s3:GetBucketLocation"]
READ = ["s3:GetObject"]
# Not s3:DeleteObject, with which MinIO lets a client remove all versions of a whole folder, and nothing here needs it.
WRITE = ["s3:GetObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
# With a version in its address, a PUT would replace that old version.
PUT = ["s3:PutObject"]
NEW_VERSION = {"StringEquals": {"s3:versionid": ""}}
# What `make doctor` writes there, it removes again.
DOCTOR = f"{DVC_BUCKET}/doctor/*"
TIMEOUT = urllib3.Timeout(connect=5, read=20)


def policies() -> dict[str, dict[str, Any]]:
    """Return what each user may do: all that is not here is refused."""
    both = [DVC_BUCKET, ARTIFACT_BUCKET]
    uploads = [*LIST, "s3:GetBucketVersioning", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"]
    return {
        PIPELINE_USER: _policy(
            (uploads, both),
            ([*WRITE, "s3:GetObjectVersion"], [f"{bucket}/*" for bucket in both]),
            (PUT, [f"{bucket}/*" for bucket in both]),
            (["s3:DeleteObject"], [DOCTOR]),
        ),
        MLFLOW_USER: _policy(
            (uploads, [ARTIFACT_BUCKET]), (WRITE, [f"{ARTIFACT_BUCKET}/*"]), (PUT, [f"{ARTIFACT_BUCKET}/*"])
        ),
        READER_USER: _policy((LIST, [DVC_BUCKET]), (READ, [f"{DVC_BUCKET}/*"])),
    }


def make_users(settings: Settings) -> None:
    """Create the users of MinIO, or give them their passwords and rights again.

    Raises
    ------
    UserError
        When MinIO refuses.
    """
    address = urlsplit(settings.addresses["AWS_ENDPOINT_URL"])
    admin = MinioAdmin(
        endpoint=address.netloc,
        credentials=StaticProvider(settings["MINIO_ROOT_USER"], settings["MINIO_ROOT_PASSWORD"]),
        region=REGION,
        secure=address.scheme == "https",
        http_client=urllib3.PoolManager(
            timeout=TIMEOUT,
            retries=urllib3.Retry(3, backoff_factor=0.2),
            ca_certs=str(settings.trusted) if settings.trusted else None,
        ),
    )
    passwords = {
        PIPELINE_USER: settings["CHURN_S3_PIPELINE_PASSWORD"],
        MLFLOW_USER: settings["CHURN_S3_MLFLOW_PASSWORD"],
        READER_USER: settings["CHURN_S3_READER_PASSWORD"],
    }
    try:
        for user, policy in policies().items():
            admin.policy_add(user, policy=policy)
            admin.user_add(user, passwords[user])
            admin.policy_set(user, user=user)
    except (MinioAdminException, urllib3.exceptions.HTTPError) as error:
        raise UserError(
            f"MinIO at {address.geturl()} did not create its users: {_reason(error)} Check MINIO_ROOT_USER and "
            "MINIO_ROOT_PASSWORD, and that each CHURN_S3_..._PASSWORD in .env has 8 to 40 characters."
        ) from error


def _policy(*rights: tuple[list[str], list[str]]) -> dict[str, Any]:
    statements = [
        {"Effect": "Allow", "Action": actions, "Resource": [f"arn:aws:s3:::{place}" for place in places]}
        | ({"Condition": NEW_VERSION} if actions is PUT else {})
        for actions, places in rights
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _reason(error: Exception) -> str:
    body = getattr(error, "_body", "")
    try:
        return str(json.loads(body)["Message"])
    except (ValueError, KeyError, TypeError):
        return f"{error}."
