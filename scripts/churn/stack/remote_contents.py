"""Whether the objects of the DVC remote have the content that their names say: each is named by its MD5."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from churn.stack.settings import DVC_BUCKET

OBJECTS = "files/md5/"
# After a pull that failed, at most this many objects are read again to say what was wrong.
MAX_READ = 20


def key_of(digest: str) -> str:
    """Return the key of the object with this hash."""
    return f"{OBJECTS}{digest[:2]}/{digest[2:]}"


def digest_of(key: str) -> str:
    """Return the MD5 that an object must have; the list of a folder's files has .dir in its name."""
    return key.removeprefix(OBJECTS).replace("/", "").removesuffix(".dir")


def list_keys(s3: Any, prefix: str) -> dict[str, str]:
    """Return the keys in the bucket that begin with a prefix, each with the server's ETag."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=DVC_BUCKET, Prefix=prefix)
    return {item["Key"]: item["ETag"].strip('"') for page in pages for item in page.get("Contents", [])}


def find_altered(
    s3: Any, needed: dict[str, str], held: dict[str, str], *, read_all: bool = False, limit: int | None = None
) -> dict[str, str]:
    """Return the objects that have another content than their name says: the key of each, and what it is of.

    The server's ETag is the MD5 of an object that was sent whole, so such an object is read only if the two differ.

    Parameters
    ----------
    s3
        A client.
    needed, held : dict
        The objects to look at, and all that the bucket has.
    read_all : bool, optional
        Whether objects that were sent in parts, whose ETag says nothing, are read too.
    limit : int, optional
        How many objects to read at most.
    """
    altered, read = {}, 0
    for key, of in needed.items():
        if key not in held or not key.startswith(OBJECTS) or held[key] == digest_of(key):
            continue
        if (read_all or re.fullmatch(r"[0-9a-f]{32}", held[key])) and read != limit:
            read += 1
            if read_digest(s3, key) != digest_of(key):
                altered[key] = of
    return altered


def read_digest(s3: Any, key: str) -> str:
    """Return the MD5 of an object's content, read in parts."""
    digest = hashlib.md5()
    for part in s3.get_object(Bucket=DVC_BUCKET, Key=key)["Body"].iter_chunks(1 << 20):
        digest.update(part)
    return digest.hexdigest()


def is_whole(path: Path, key: str) -> bool:
    """Return whether a file of DVC's cache has the content that its name says."""
    with path.open("rb") as file:
        return not key.startswith(OBJECTS) or hashlib.file_digest(file, "md5").hexdigest() == digest_of(key)


def list_folder(s3: Any, key: str, held: dict[str, str], cache: Path) -> list[dict[str, str]]:
    """Return the files of a folder, from DVC's cache or the remote; nothing if neither has its list, as it was."""
    cached = cache / key
    if cached.exists():
        text = cached.read_bytes()
    elif key in held:
        text = s3.get_object(Bucket=DVC_BUCKET, Key=key)["Body"].read()
    else:
        return []
    if hashlib.md5(text).hexdigest() != digest_of(key):
        return []
    files: list[dict[str, str]] = json.loads(text)
    return files
