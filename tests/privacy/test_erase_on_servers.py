"""A user is erased from a real S3 server in all versions, and from the tables of MLflow's server."""

import contextlib
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import ENVIRONMENT, free_port, run
from find_user import find_user
from mlflow_server import run_server
from running_stack import FOUND, s3_client

from churn.base.command import UserError
from churn.privacy.objects import abort_uploads, delete_versions
from churn.stack.buckets import make_buckets
from churn.stack.checks import check_page
from churn.stack.settings import ARTIFACT_BUCKET, DVC_BUCKET

BUCKETS = (DVC_BUCKET, ARTIFACT_BUCKET)
NEW = "2026-03-22"
pytestmark = pytest.mark.slow


@contextlib.contextmanager
def serve_s3(folder: Path):
    """Run MinIO with the two buckets, and yield the variables by which clients reach it."""
    port, console = free_port(), free_port()
    login = {"MINIO_ROOT_USER": "root-user", "MINIO_ROOT_PASSWORD": "root-password"}
    addresses = ("--address", f"127.0.0.1:{port}", "--console-address", f"127.0.0.1:{console}")
    with subprocess.Popen(
        ["minio", "server", folder, *addresses],
        env=ENVIRONMENT | FOUND | login,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            deadline = time.monotonic() + 60
            while check_page(f"http://127.0.0.1:{port}/minio/health/ready") and time.monotonic() < deadline:
                time.sleep(0.2)
            variables = {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_ACCESS_KEY_ID": login["MINIO_ROOT_USER"],
                "AWS_SECRET_ACCESS_KEY": login["MINIO_ROOT_PASSWORD"],
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            make_buckets([*BUCKETS], variables)
            yield variables
        finally:
            server.terminate()


def client(variables: dict[str, str]):
    return s3_client(*(variables[f"AWS_{name}"] for name in ("ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")))


def holders(s3, user: str, folder: Path) -> list[str]:
    """Return the objects, of all versions, that hold the user."""
    for bucket in BUCKETS:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for number, one in enumerate(page.get("Versions", [])):
                target = folder / bucket / str(number) / one["Key"]
                target.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(bucket, one["Key"], str(target), ExtraArgs={"VersionId": one["VersionId"]})
    return find_user(folder, user)


def test_no_version_of_an_object_holds_the_user_and_a_clone_gets_the_new_drops(demo_copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    user = (demo_copy / "data/raw" / NEW / "MARKETPLACE_DATA.csv").read_text().splitlines()[5].split(",")[0]
    with serve_s3(tmp_path / "minio") as s3_server, contextlib.ExitStack() as stack:
        options = ("--artifacts-destination", f"s3://{ARTIFACT_BUCKET}")
        address = stack.enter_context(run_server(tmp_path / "server.db", *options, **s3_server))
        variables = s3_server | {"MLFLOW_TRACKING_URI": address}

        def tool(*command, cwd=demo_copy, **more):
            return run(sys.executable, *command, cwd=cwd, **variables | more)

        s3 = client(s3_server)
        tool("scripts/register_candidate.py", "--receipt", "receipt.json")
        run("git", "add", "--all", cwd=demo_copy)
        run("git", "commit", "--quiet", "--message", "All", cwd=demo_copy)
        tool("scripts", "push")
        # Another clone has pushed a version that is not in this one's cache, which then was overwritten and deleted.
        for text in f"CUS_CUST_ID_BUY,SPENT_ML,RECENCY_ML,FREQUENCY_ML\n{user},1,,1\n", "nothing":
            s3.put_object(Bucket=DVC_BUCKET, Key="files/md5/00/1122", Body=text.encode())
        s3.delete_object(Bucket=DVC_BUCKET, Key="files/md5/00/1122")
        # Another one has pushed a drop with the user: nobody here could write it again.
        held = (demo_copy / "data/raw" / NEW / "MARKETPLACE_DATA.csv").read_bytes()
        listed = json.dumps([{"md5": hashlib.md5(held).hexdigest(), "relpath": "MARKETPLACE_DATA.csv"}])
        s3.put_object(Bucket=DVC_BUCKET, Key="files/md5/00/33.dir", Body=listed.encode())
        erase = ("scripts", "erase", "--why", "request 42")
        said = tool(*erase, CHURN_ERASE_USER=user, fails=True).stderr
        assert "no commit here names (its list is files/md5/00/33.dir)" in said and "Nothing was changed" in said
        version = s3.list_object_versions(Bucket=DVC_BUCKET, Prefix="files/md5/00/33.dir")["Versions"][0]["VersionId"]
        s3.delete_object(Bucket=DVC_BUCKET, Key="files/md5/00/33.dir", VersionId=version)
        before = holders(s3, user, tmp_path / "before")
        assert {path.split("/")[0] for path in before} == {*BUCKETS}

        said = tool(*erase, CHURN_ERASE_USER=user).stdout
        assert f"bucket {DVC_BUCKET}" in said and f"bucket {ARTIFACT_BUCKET}" in said
        assert holders(s3, user, tmp_path / "after") == [] == find_user(demo_copy, user)
        assert "Nothing holds this user" in tool("scripts", "erase", "--why", "again", CHURN_ERASE_USER=user).stdout

        # Before anything is pushed again, the remote has the raw drops that git is about to name.
        run("git", "commit", "--quiet", "--all", "--message", "Erased", cwd=demo_copy)
        run("git", "clone", "--quiet", demo_copy, tmp_path / "clone", cwd=tmp_path)
        tool("-m", "dvc", "pull", "--remote", "minio", f"data/raw/{NEW}.dvc", cwd=tmp_path / "clone")
        payments = f"data/raw/{NEW}/PAYMENTS.csv"
        assert (tmp_path / "clone" / payments).read_bytes() == (demo_copy / payments).read_bytes()


def test_a_login_that_may_not_delete_versions_is_named(tmp_path):
    with serve_s3(tmp_path / "minio") as variables:
        s3 = client(variables)
        put = s3.put_object(Bucket=DVC_BUCKET, Key="files/md5/00/1122", Body=b"x")
        version = {"Key": "files/md5/00/1122", "VersionId": put["VersionId"]}
        anyone = boto3.client(
            "s3", endpoint_url=variables["AWS_ENDPOINT_URL"], config=Config(signature_version=UNSIGNED)
        )
        with pytest.raises(UserError, match="s3:DeleteObjectVersion"):
            delete_versions(anyone, DVC_BUCKET, [version])
        assert s3.head_object(Bucket=DVC_BUCKET, **version)
        delete_versions(s3, DVC_BUCKET, [version])
        with pytest.raises(ClientError):
            s3.head_object(Bucket=DVC_BUCKET, **version)


def test_uploads_that_have_not_ended_are_aborted(tmp_path):
    with serve_s3(tmp_path / "minio") as variables:
        s3 = client(variables)
        which = {"Bucket": DVC_BUCKET, "Key": "files/md5/ab/cd"}
        upload = s3.create_multipart_upload(**which)["UploadId"]
        s3.upload_part(**which, UploadId=upload, PartNumber=1, Body=b"a row")
        assert len(s3.list_multipart_uploads(Bucket=DVC_BUCKET)["Uploads"]) == 1
        abort_uploads(s3, DVC_BUCKET, "of another pipeline/")
        assert len(s3.list_multipart_uploads(Bucket=DVC_BUCKET)["Uploads"]) == 1
        abort_uploads(s3, DVC_BUCKET, "files/md5/")
        assert "Uploads" not in s3.list_multipart_uploads(Bucket=DVC_BUCKET)
