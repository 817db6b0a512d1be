"""What each user of MinIO may do: a stolen key of the pipeline destroys nothing that is stored."""

from contextlib import suppress
from io import BytesIO

import pytest
from botocore.exceptions import ClientError
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException
from minio.minioadmin import MinioAdmin
from running_stack import s3_client

from churn.stack.settings import ARTIFACT_BUCKET, DVC_BUCKET


def s3_of(stack, user: str, secret: str):
    return s3_client(stack.variables["AWS_ENDPOINT_URL"], user, stack.variables[secret])


def refused(call, *arguments, **options) -> bool:
    with pytest.raises(ClientError) as error:
        call(*arguments, **options)
    return error.value.response["Error"]["Code"] == "AccessDenied"


def test_users_of_s3_may_do_their_work_and_no_more(stack):
    pipeline, mlflow, reader = (
        s3_of(stack, f"churn-{name.lower()}", f"CHURN_S3_{name}_PASSWORD") for name in ("PIPELINE", "MLFLOW", "READER")
    )
    assert stack.variables["AWS_ACCESS_KEY_ID"] == "churn-pipeline"
    for bucket in DVC_BUCKET, ARTIFACT_BUCKET:
        first = pipeline.put_object(Bucket=bucket, Key="trial/key", Body=b"first")["VersionId"]
        pipeline.upload_fileobj(BytesIO(bytes(9_000_000)), bucket, "trial/key")
        # A thief of this key may write newer versions, and cannot destroy what is stored.
        assert refused(pipeline.delete_object, Bucket=bucket, Key="trial/key", VersionId=first)
        assert refused(pipeline.delete_object, Bucket=bucket, Key="trial/key")
        several = {"Objects": [{"Key": "trial/key", "VersionId": first}]}
        assert pipeline.delete_objects(Bucket=bucket, Delete=several)["Errors"][0]["Code"] == "AccessDenied"
        assert refused(pipeline.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
        rule = {"ID": "x", "Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
        expiry = {"Rules": [rule]}
        assert refused(pipeline.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration=expiry)
        force_delete(pipeline, bucket, "trial/key")
        force_delete(pipeline, bucket, "trial/")
        assert refused(pipeline.delete_bucket, Bucket=bucket)
        assert refused(pipeline.put_bucket_policy, Bucket=bucket, Policy="{}")
        overwrite_version(pipeline, bucket, "trial/key", first)
        old = pipeline.get_object(Bucket=bucket, Key="trial/key", VersionId=first)
        assert old["Body"].read() == b"first"
    mlflow.put_object(Bucket=ARTIFACT_BUCKET, Key="trial/mlflow", Body=b"model")
    assert mlflow.get_object(Bucket=ARTIFACT_BUCKET, Key="trial/mlflow")["Body"].read() == b"model"
    assert refused(mlflow.delete_object, Bucket=ARTIFACT_BUCKET, Key="trial/mlflow")
    pipeline.put_object(Bucket=DVC_BUCKET, Key="trial/data", Body=b"data")
    assert refused(mlflow.get_object, Bucket=DVC_BUCKET, Key="trial/data")
    assert refused(mlflow.list_objects_v2, Bucket=DVC_BUCKET)
    assert reader.get_object(Bucket=DVC_BUCKET, Key="trial/data")["Body"].read() == b"data"
    assert reader.list_objects_v2(Bucket=DVC_BUCKET, Prefix="trial/")["KeyCount"] == 2
    assert refused(reader.put_object, Bucket=DVC_BUCKET, Key="trial/data", Body=b"")
    assert refused(reader.delete_object, Bucket=DVC_BUCKET, Key="trial/data")
    assert refused(reader.list_objects_v2, Bucket=ARTIFACT_BUCKET)
    for client in mlflow, reader:
        assert refused(client.create_bucket, Bucket="another")
    assert refused(pipeline.create_bucket, Bucket="another")


def overwrite_version(client, bucket: str, key: str, version: str) -> None:
    """Try to write over an old version."""

    def add(request, **_):
        request.url += f"?versionId={version}"

    client.meta.events.register("before-sign.s3.PutObject", add)
    with suppress(ClientError):
        client.put_object(Bucket=bucket, Key=key, Body=b"forged")
    client.meta.events.unregister("before-sign.s3.PutObject", add)


def force_delete(client, bucket: str, key: str) -> None:
    """Try MinIO's own way to remove all versions at once."""

    def add(request, **_):
        request.headers["x-minio-force-delete"] = "true"

    client.meta.events.register("before-sign.s3.DeleteObject", add)
    try:
        assert refused(client.delete_object, Bucket=bucket, Key=key)
    finally:
        client.meta.events.unregister("before-sign.s3.DeleteObject", add)


def test_no_user_of_s3_administers_the_server(stack):
    address = stack.variables["AWS_ENDPOINT_URL"].removeprefix("http://")
    for name in "PIPELINE", "MLFLOW", "READER":
        login = StaticProvider(f"churn-{name.lower()}", stack.variables[f"CHURN_S3_{name}_PASSWORD"])
        admin = MinioAdmin(endpoint=address, credentials=login, secure=False)
        for attempt in (
            lambda admin=admin: admin.user_add("intruder", "intruder-password"),
            lambda admin=admin: admin.policy_set("consoleAdmin", user="churn-pipeline"),
            lambda admin=admin: admin.user_list(),
        ):
            with pytest.raises(MinioAdminException, match="AccessDenied"):
                attempt()
