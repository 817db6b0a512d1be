"""Whether the DVC remote holds every object of the last commit: it is listed, because DVC goes by what it remembers."""

import json
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import SCMError

from churn.base.command import UserError
from churn.stack.buckets import open_s3
from churn.stack.settings import DVC_BUCKET

OBJECTS, RUNS = "files/md5/", "runs/"
CACHE, REMOTE = Path(".dvc/cache"), "minio"


def find_missing() -> tuple[int, dict[str, str]]:
    """Compare the remote with the last commit, and with the runs that are known here.

    Returns
    -------
    tuple
        How many objects there must be, and the missing ones: the key of each in the bucket, and what it is of.

    Raises
    ------
    UserError
        When the S3 server does not answer or refuses the login.
    """
    with open_s3() as s3:
        held = list_keys(s3, OBJECTS) | list_keys(s3, RUNS)
        needed = {**objects_of_head(s3, held), **known_runs()}
    return len(needed), {key: of for key, of in needed.items() if key not in held}


def list_keys(s3: Any, prefix: str) -> set[str]:
    """Return the keys in the bucket that begin with a prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=DVC_BUCKET, Prefix=prefix)
    return {item["Key"] for page in pages for item in page.get("Contents", [])}


def objects_of_head(s3: Any, held: set[str]) -> dict[str, str]:
    """Return the objects of the last commit's outputs and raw data, by their keys, with the path of each."""
    needed = {}
    try:
        try:
            outs = outputs_of("HEAD")
        except SCMError:
            # Without git, or before the first commit, what is here counts.
            outs = outputs_of(None)
    except DvcException as error:
        raise UserError(f"DVC cannot read the last commit: {' '.join(str(error).split())}") from None
    for path, digest in outs:
        key = key_of(digest)
        needed[key] = path
        if digest.endswith(".dir"):
            needed |= {key_of(file["md5"]): f"{path}/{file['relpath']}" for file in list_folder(s3, key, held)}
    return needed


def outputs_of(revision: str | None) -> list[tuple[str, str]]:
    """Return path and hash of each pushed output and raw folder of a revision, or of the working tree."""
    with Repo(rev=revision) as repo:
        return [(out.def_path, out.hash_info.value) for out in repo.index.outs if is_pushed(out)]


def is_pushed(out: Any) -> bool:
    """Return whether DVC pushes an output to this remote."""
    here = out.use_cache and out.can_push and out.remote in (None, REMOTE) and not out.stage.is_repo_import
    return bool(here and out.hash_info and out.hash_name == "md5" and not out.files)


def list_folder(s3: Any, key: str, held: set[str]) -> list[dict[str, str]]:
    """Return the files of a folder, from DVC's cache or the remote; nothing if neither has its list."""
    cached = CACHE / key
    if cached.exists():
        text = cached.read_bytes()
    elif key in held:
        text = s3.get_object(Bucket=DVC_BUCKET, Key=key)["Body"].read()
    else:
        return []
    files: list[dict[str, str]] = json.loads(text)
    return files


def known_runs() -> dict[str, str]:
    """Return the entries of DVC's run cache: with them, a clone restores what was computed before."""
    files = [path for path in (CACHE / RUNS).rglob("*") if path.is_file()]
    return {path.relative_to(CACHE).as_posix(): "an entry of the run cache" for path in files}


def send_from_cache(missing: dict[str, str]) -> dict[str, str]:
    """Send objects from DVC's cache to the remote; return those that are not in the cache."""
    with open_s3() as s3:
        for key in missing:
            if (CACHE / key).exists():
                s3.upload_file(str(CACHE / key), DVC_BUCKET, key)
    return {key: of for key, of in missing.items() if not (CACHE / key).exists()}


def key_of(digest: str) -> str:
    """Return the key of the object with this hash."""
    return f"{OBJECTS}{digest[:2]}/{digest[2:]}"


def describe(missing: dict[str, str]) -> str:
    """Return a few of the missing objects, and how many more there are."""
    named = list(dict.fromkeys(missing.values()))[:3]
    more = len(missing) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
