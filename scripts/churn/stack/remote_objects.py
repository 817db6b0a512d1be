"""Whether the DVC remote holds every object of the last commit: it is listed, because DVC goes by what it remembers."""

from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import SCMError

from churn.base.command import UserError
from churn.stack.buckets import open_s3
from churn.stack.remote_contents import MAX_READ, OBJECTS, find_altered, is_whole, key_of, list_folder, list_keys
from churn.stack.settings import DVC_BUCKET

RUNS = "runs/"
CACHE, REMOTE = Path(".dvc/cache"), "minio"


def find_missing() -> tuple[int, dict[str, str]]:
    """Compare the remote with the last commit, and with the runs that are known here.

    Returns
    -------
    tuple
        How many objects there must be, and those that are missing or have another content: the key of each in the
        bucket, and what it is of.

    Raises
    ------
    UserError
        When the S3 server does not answer or refuses the login.
    """
    with open_s3() as s3:
        held = list_keys(s3, OBJECTS) | list_keys(s3, RUNS)
        needed = {**objects_of_head(s3, held), **known_runs()}
        altered = {key: f"{of} (changed there)" for key, of in find_altered(s3, needed, held).items()}
    return len(needed), {key: of for key, of in needed.items() if key not in held} | altered


def find_refused(targets: list[str] | None) -> dict[str, str]:
    """Return the objects that a pull refused, as the remote has another content: the key of each, and what it is of.

    Parameters
    ----------
    targets : list of str or None
        The stages and pointers that were pulled; None for all.
    """
    with open_s3() as s3:
        held = list_keys(s3, OBJECTS)
        needed = with_files(s3, outputs_of(None, targets), held)
        gone = {key: of for key, of in needed.items() if not (CACHE / key).exists()}
        return find_altered(s3, gone, held, read_all=True, limit=MAX_READ)


def objects_of_head(s3: Any, held: dict[str, str]) -> dict[str, str]:
    """Return the objects of the last commit's outputs and raw data, by their keys, with the path of each."""
    try:
        try:
            outs = outputs_of("HEAD")
        except SCMError:
            # Without git, or before the first commit, what is here counts.
            outs = outputs_of(None)
    except DvcException as error:
        raise UserError(f"DVC cannot read the last commit: {' '.join(str(error).split())}") from None
    return with_files(s3, outs, held)


def with_files(s3: Any, outs: list[tuple[str, str]], held: dict[str, str]) -> dict[str, str]:
    """Return the objects of some outputs and of the files in them, by their keys, with the path of each."""
    needed = {}
    for path, digest in outs:
        key = key_of(digest)
        needed[key] = path
        if digest.endswith(".dir"):
            needed |= {key_of(file["md5"]): f"{path}/{file['relpath']}" for file in list_folder(s3, key, held, CACHE)}
    return needed


def outputs_of(revision: str | None, targets: list[str] | None = None) -> list[tuple[str, str]]:
    """Return path and hash of each pushed output and raw folder, or of some, of a revision or the working tree."""
    with Repo(rev=revision) as repo:
        outs = [out for out in repo.index.outs if is_pushed(out)]
        wanted = [out for out in outs if not targets or out.stage.addressing in targets]
        return [(out.def_path, out.hash_info.value) for out in wanted]


def is_pushed(out: Any) -> bool:
    """Return whether DVC pushes an output to this remote."""
    here = out.use_cache and out.can_push and out.remote in (None, REMOTE) and not out.stage.is_repo_import
    return bool(here and out.hash_info and out.hash_name == "md5" and not out.files)


def known_runs() -> dict[str, str]:
    """Return the entries of DVC's run cache: with them, a clone restores what was computed before."""
    files = [path for path in (CACHE / RUNS).rglob("*") if path.is_file()]
    return {path.relative_to(CACHE).as_posix(): "an entry of the run cache" for path in files}


def send_from_cache(missing: dict[str, str]) -> dict[str, str]:
    """Send objects from DVC's cache to the remote; return those that are not in the cache, or damaged there."""
    lost = {}
    with open_s3() as s3:
        for key, of in missing.items():
            if (CACHE / key).exists() and is_whole(CACHE / key, key):
                s3.upload_file(str(CACHE / key), DVC_BUCKET, key)
            else:
                lost[key] = of
    return lost


def describe(missing: dict[str, str]) -> str:
    """Return a few of the missing objects, and how many more there are."""
    named = list(dict.fromkeys(missing.values()))[:3]
    more = len(missing) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
