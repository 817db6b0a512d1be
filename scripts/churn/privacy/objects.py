"""DVC's objects that hold a user: in the cache and, in all versions, on the remote."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from churn.base.command import UserError
from churn.base.git import run_git
from churn.deliveries.folders import RAW, tracked_md5, tracked_md5s
from churn.privacy.search import Search, UnsearchableError
from churn.stack.remote_contents import OBJECTS, digest_of, is_whole, key_of
from churn.stack.remote_objects import CACHE, RUNS
from churn.stack.settings import DVC_BUCKET, read_settings

HEAD_BYTES = 1 << 16
# How the pointer of a drop names the list of its files.
LIST = re.compile(r"md5: ([0-9a-f]{32}\.dir)")


def remove_lists(root: Path, removed: set[str]) -> None:
    """Remove the lists of folders, and the records of runs, that name removed objects.

    DVC takes the files of a folder to be on the remote if their list is.
    """
    md5s = removed | {
        f"{path.parent.name}{path.name}"
        for path in (root / CACHE / OBJECTS).glob("*/*.dir")
        if leads_to(path.read_bytes(), removed)
    }
    for md5 in md5s - removed:
        (root / CACHE / key_of(md5)).unlink(missing_ok=True)
    for path in (root / CACHE / RUNS).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if any(md5.encode() in content for md5 in md5s):
                path.unlink()


def leads_to(content: bytes, removed: set[str]) -> bool:
    """Return whether the list of a folder's files names a removed object; one that is damaged may name any."""
    try:
        return any(entry["md5"] in removed for entry in json.loads(content))
    except (ValueError, TypeError, LookupError):
        return True


def login() -> Mapping[str, str]:
    """Return the environment with a login that may delete versions: root's, if this is the stack's own server."""
    settings = read_settings()
    # A clone that got only the clients' lines of .env has no password of root.
    is_owner = settings.is_managed("AWS_ENDPOINT_URL") and settings.variables.get("MINIO_ROOT_PASSWORD")
    return settings.s3_owner if is_owner else os.environ


def send_drops(s3: Any, folders: Iterable[Path]) -> None:
    """Send the objects of raw drops that the remote lacks: the old ones will be gone."""
    held = {version["Key"] for version in list_versions(s3, DVC_BUCKET, OBJECTS) if version["IsLatest"]}
    for folder in folders:
        files = [*tracked_md5s(folder).values(), *filter(None, [tracked_md5(folder)])]
        for key in map(key_of, files):
            if key not in held and (CACHE / key).exists() and is_whole(CACHE / key, key):
                s3.upload_file(str(CACHE / key), DVC_BUCKET, key)


def list_versions(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Yield all versions of objects; marks of deletion have no `Size`."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Versions", [])
        yield from page.get("DeleteMarkers", [])


def search_objects(search: Search, s3: Any, bucket: str, prefix: str, known: dict[str, bool]) -> list[dict[str, Any]]:
    """Return the versions of objects that hold the user.

    Parameters
    ----------
    known : dict of bool
        Whether the objects of some keys do: those that are in DVC's cache.
    """
    found = []
    answers: dict[tuple[str, str], bool] = {}
    for version in list_versions(s3, bucket, prefix):
        key = version["Key"]
        if "Size" not in version or key.endswith(".dir"):
            continue
        # A version may have another content than its key says: the ETag is its MD5 if it was sent in one piece.
        content = version["ETag"].strip('"')
        if key in known and content == digest_of(key):
            is_held = known[key]
        elif (key, content) in answers:
            is_held = answers[key, content]
        else:
            is_held = answers[key, content] = _holds(search, s3, bucket, version)
        if is_held:
            found.append(version)
    return found


def _holds(search: Search, s3: Any, bucket: str, version: dict[str, Any]) -> bool:
    which = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
    path = search.scratch / "object"
    if version["Size"] > HEAD_BYTES:
        path.write_bytes(s3.get_object(**which, Range=f"bytes=0-{HEAD_BYTES - 1}")["Body"].read())
        if not search.is_table(path):
            return False
    with path.open("wb") as file:
        s3.download_fileobj(bucket, version["Key"], file, ExtraArgs={"VersionId": version["VersionId"]})
    try:
        return search.finds(path)
    except UnsearchableError as error:
        raise UnsearchableError(f"{bucket}/{version['Key']}", error.why) from None


def abort_uploads(s3: Any, bucket: str, prefix: str) -> None:
    """Abort the uploads of objects that have not ended: their parts may hold the user, and cannot be searched."""
    # All are listed: MinIO takes a prefix for a whole key here.
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for one in (one for one in page.get("Uploads", []) if one["Key"].startswith(prefix)):
            s3.abort_multipart_upload(Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"])


def delete_versions(s3: Any, bucket: str, versions: list[dict[str, Any]]) -> None:
    """Delete versions of objects for good.

    Raises
    ------
    UserError
        When the login may not.
    """
    for begin in range(0, len(versions), 1000):
        some = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in versions[begin : begin + 1000]]
        try:
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})
        except ClientError as error:
            raise _refused(bucket, len(some), error.response["Error"]) from None
        if errors := answer.get("Errors"):
            raise _refused(bucket, len(errors), errors[0])


def _refused(bucket: str, number: int, cause: Mapping[str, str]) -> UserError:
    return UserError(
        f"{number} versions of objects in the bucket {bucket} could not be deleted ({cause.get('Code')}: "
        f"{cause.get('Message', '')}). The login needs the right s3:DeleteObjectVersion: set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY to one that has it, then run the same command again."
    )


def list_of_removed(s3: Any, removed: set[str]) -> list[dict[str, Any]]:
    """Return the versions of the lists of folders on the remote that name removed objects."""
    found = []
    for version in list_versions(s3, DVC_BUCKET, OBJECTS):
        if "Size" not in version or not version["Key"].endswith(".dir"):
            continue
        cached, key = CACHE / version["Key"], version["Key"]
        which = {"Bucket": DVC_BUCKET, "Key": key, "VersionId": version["VersionId"]}
        # The cache has the same only if neither is damaged.
        is_same = version["ETag"].strip('"') == digest_of(key) and cached.exists() and is_whole(cached, key)
        content = cached.read_bytes() if is_same else s3.get_object(**which)["Body"].read()
        if leads_to(content, removed):
            found.append(version)
    return found


def check_lists(s3: Any, root: Path, removed: set[str]) -> None:
    """Raise `UserError` if a CSV that is to be removed is in a drop on the remote that nothing here names.

    Another clone has pushed the drop, or another pipeline uses the bucket: nobody would write the CSV again.
    """
    texts = [run_git("-C", str(root), "log", "--all", "--format=", "--patch", "--", str(RAW)).stdout]
    texts += [pointer.read_text() for pointer in (root / RAW).glob("*.dvc")]
    known = {name for text in texts for name in LIST.findall(text)}
    for version in list_of_removed(s3, removed):
        key = version["Key"]
        if digest_of(key) in known or (root / CACHE / key).exists():
            continue
        which = {"Bucket": DVC_BUCKET, "Key": key, "VersionId": version["VersionId"]}
        with suppress(ValueError, TypeError, LookupError):
            files = json.loads(s3.get_object(**which)["Body"].read())
            if any(file["md5"] in removed and file["relpath"].endswith(".csv") for file in files):
                raise UserError(
                    f"The bucket {DVC_BUCKET} has a drop that holds the user and that no commit here names (its list "
                    f"is {key}): another clone has pushed it, or another pipeline uses the bucket. All of its rows "
                    "would be lost. Get the other clone's commits (git pull) and make pull, then erase; give the other "
                    "pipeline a bucket of its own; or delete this object if nobody needs the drop. Nothing was changed."
                )
