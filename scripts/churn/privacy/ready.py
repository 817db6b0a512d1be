"""What must hold before anything is erased: every place can be searched, and no other user's rows could be lost."""

import os
import shutil
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from churn.base.command import UserError
from churn.base.drops import read_list
from churn.base.files import write_json
from churn.base.git import run_git
from churn.base.reading import read_json
from churn.deliveries.folders import RAW, folder_md5, held_md5s, pointer_of, tracked_md5, tracked_md5s
from churn.release.registry import sqlite_file, tracking_uri
from churn.stack.remote import REMOTE, read_local
from churn.stack.remote_contents import OBJECTS
from churn.stack.remote_objects import CACHE
from churn.stack.settings import ARTIFACT_BUCKET, DVC_BUCKET, FOLDER, read_settings

# The drops that an erasure has begun to rewrite: if it is killed, the next one knows why they are not as tracked.
JOURNAL = Path(".dvc/tmp/erasing.json")
UNCHANGED = "Nothing was changed."


def check_ready(root: Path) -> None:
    """Raise `UserError` if a place cannot be searched, or rows of other users could be lost."""
    check_drops(root)
    check_servers(root)
    check_cache(root)
    check_branches(root)


def has_remote() -> bool:
    """Return whether commands run here reach an S3 server."""
    return bool(os.environ.get("AWS_ENDPOINT_URL"))


def check_servers(root: Path) -> None:
    """Raise `UserError` if a stack was set up here, natively or in containers, and its buckets do not answer."""
    if has_remote():
        return
    # `make up-containers` keeps the data in Docker's volumes; it writes the logins into .env.
    traces = {
        str(FOLDER): (root / FOLDER).is_dir(),
        "MinIO's login in .env": bool(read_settings().variables.get("MINIO_ROOT_PASSWORD")),
        "DVC's remote in .dvc/config.local": REMOTE in read_local(),
    }
    if found := [name for name, is_there in traces.items() if is_there]:
        raise UserError(
            f"The buckets of the stack that was set up here ({', '.join(found)}) may hold users' data, but "
            "AWS_ENDPOINT_URL is not set, so they cannot be reached. Start the stack: make up, or make up-containers. "
            f"If it is gone for good, remove these traces of it. {UNCHANGED}"
        )


def check_buckets(s3: Any) -> None:
    """Raise `UserError` if the S3 server lacks a bucket: it may be another server, or another login."""
    needed = {DVC_BUCKET} | ({ARTIFACT_BUCKET} if _keeps_artifacts() else set())
    if missing := sorted(needed - {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}):
        raise UserError(
            f"The S3 server has no bucket {' and no bucket '.join(missing)}, or hides it from this login, so it cannot "
            "be searched. Check AWS_ENDPOINT_URL, AWS_PROFILE and the login; if this is the stack's server, run make "
            f"up. {UNCHANGED}"
        )


def list_unsearched() -> list[str]:
    """Return what a search does not reach, for the user to read."""
    unsearched = [
        "other clones (also inside this folder), backups, old commits of git",
        "what killed processes left in the temporary folder",
    ]
    if shutil.which("docker"):
        unsearched.append("what Docker keeps of the containers' output (make down-containers removes it)")
    if not has_remote():
        unsearched.append("buckets: AWS_ENDPOINT_URL is not set, and no stack was set up here")
    elif sqlite_file(tracking_uri()):
        unsearched.append(f"the bucket {ARTIFACT_BUCKET}: MLflow's store is here (MLFLOW_TRACKING_URI)")
    elif not _keeps_artifacts():
        unsearched.append("old versions of artifacts, if your MLflow server keeps them elsewhere")
    else:
        unsearched.append("artifacts of other experiments on the same MLflow server")
    return unsearched


def _keeps_artifacts() -> bool:
    """Return whether the stack's own MLflow keeps the artifacts in the stack's own bucket."""
    settings = read_settings()
    managed = all(map(settings.is_managed, ("AWS_ENDPOINT_URL", "MLFLOW_TRACKING_URI")))
    return managed and not sqlite_file(tracking_uri())


def check_cache(root: Path) -> None:
    """Raise `UserError` if DVC's cache is elsewhere: other clones may use it, too."""
    with Repo(str(root)) as repo:
        path = Path(repo.cache.local.path)
    if path.resolve() != (root / CACHE / OBJECTS).resolve():
        raise UserError(
            f"DVC's cache is in {path}, where make erase does not search: other clones may use it. Erase in a clone "
            f"with a cache of its own, then delete the objects there that are no longer used. {UNCHANGED}"
        )


def check_branches(root: Path) -> None:
    """Raise `UserError` if a branch has a drop, or a version of one, that this branch never had.

    Its objects would go, and nobody would rewrite it.
    """
    git = ("-C", str(root))
    # Also those that were withdrawn or replaced since: an older branch may still have them.
    listed = run_git(*git, "rev-list", "--objects", "--full-history", "HEAD", "--", str(RAW)).stdout.splitlines()
    ours = {line.split(" ", 1)[0] for line in listed}
    references = run_git(*git, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes").stdout.split()
    for reference in references:
        tree = run_git(*git, "ls-tree", reference, f"{RAW}/").stdout.splitlines()
        files = [line.split("\t") for line in tree if line.endswith(".dvc")]
        pointers = {Path(path).stem: words.split()[2] for words, path in files}
        if more := sorted(name for name, blob in pointers.items() if blob not in ours):
            raise UserError(
                f"{reference} has a version of the drop {more[0]} that this branch never had: its objects may hold the "
                "user, and would be lost for all users. Merge it first, erase on the branch with all drops, or delete "
                f"{reference}. {UNCHANGED}"
            )


def check_drops(root: Path) -> None:
    """Raise `UserError` if a listed drop is not here as DVC tracks it: erasing would lose what is missing."""
    _, drops = read_list(root / "data/drops.yaml")
    folders = [one for one in (root / RAW / str(drop) for drop in drops) if pointer_of(one).exists()]
    if missing := [one.name for one in folders if not one.is_dir()]:
        raise UserError(
            f"{len(missing)} drops are not in this clone, and may hold the user: {', '.join(missing[:5])}"
            f"{' ...' if missing[5:] else ''}. Get them first: make pull. {UNCHANGED}"
        )
    begun = read_journal(root)
    for folder in folders:
        held = held_md5s(folder)
        if folder_md5(held) == tracked_md5(folder):
            continue
        if folder.name not in begun or set(held) != set(tracked_md5s(folder) or held):
            raise UserError(
                f"The files of {folder} are not those that DVC tracks: one was edited, or is missing. Restore them "
                f"(dvc checkout {folder}), or track them (dvc add {folder}); then erase. {UNCHANGED}"
            )


def read_journal(root: Path) -> set[str]:
    """Return the names of the drops that a killed erasure had begun to rewrite."""
    path = root / JOURNAL
    return set(read_json(path)) if path.exists() else set()


def write_journal(root: Path, drops: set[str]) -> None:
    """Remember the drops that are about to be rewritten; with none, forget."""
    if drops:
        (root / JOURNAL).parent.mkdir(parents=True, exist_ok=True)
        write_json(sorted(drops), root / JOURNAL, durable=True)
    else:
        (root / JOURNAL).unlink(missing_ok=True)
