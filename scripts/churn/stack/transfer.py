"""Push drops, artifacts and the run cache to the DVC remote `minio` and verify that they are there, or pull them."""

import os
import subprocess
import sys

from churn.base.addresses import hide_logins
from churn.base.command import UserError
from churn.stack.buckets import check_bucket
from churn.stack.settings import DVC_BUCKET

REMOTE = "minio"


def sync_remote(direction: str, targets: list[str] | None = None) -> None:
    """Run `dvc push` or `dvc pull`, of everything or of some targets, after a check that the remote answers.

    Raises
    ------
    UserError
        When no S3 server is configured, it does not answer, it refuses the login, or DVC fails.
    """
    address = os.environ.get("AWS_ENDPOINT_URL")
    if not address:
        raise UserError(
            "No S3 server: AWS_ENDPOINT_URL is not set. Start one on this machine with: make up; or set "
            "AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in .env."
        )
    check_bucket(DVC_BUCKET)
    # The run cache is not pulled: an entry says which results a stage has, and nothing in git vouches for it.
    what = targets or (["--run-cache"] if direction == "push" else [])
    command = [sys.executable, "-m", "dvc", direction, "--remote", REMOTE, *what]
    # Two retries: with the default of four, it takes most of a minute to report that a server is gone.
    environment = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "3"} | os.environ
    if subprocess.run(command, env=environment, check=False).returncode:
        if direction == "pull":
            explain_refused(targets)
        raise UserError(
            f"dvc {direction} failed for some files; its messages about S3 at {hide_logins(address)} are above. Fix "
            f"that, then run again: make {direction}. Files that have arrived are not sent again."
        )


def explain_refused(targets: list[str] | None) -> None:
    """Raise `UserError` if DVC refused objects because the remote has another content than their names say."""
    from churn.stack.remote_objects import describe, find_refused

    if refused := find_refused(targets):
        raise UserError(
            f"The remote has another content of {describe(refused)} than DVC recorded: it was damaged or changed in "
            f"the bucket {DVC_BUCKET} (object {next(iter(refused))}). It was not taken, and nothing here was changed "
            "by it. Run make push in a clone that has it, or restore an older version of the object, which the bucket "
            "keeps; then run again: make pull. Find out who can write to the bucket."
        )


def push_verified() -> int:
    """Push, and check that the remote then holds every object of the last commit and every known run, unchanged.

    DVC takes a folder whose list is on the remote for sent, and does not look whether its files are there. Files that
    are not, or that were changed there, are sent from the cache.

    Returns
    -------
    int
        How many objects the remote must hold, and does.

    Raises
    ------
    UserError
        When one is missing and not here either, and as in `sync_remote`.
    """
    from churn.stack.remote_objects import describe, find_missing, send_from_cache

    sync_remote("push")
    number, missing = find_missing()
    lost = send_from_cache(missing)
    if lost:
        raise UserError(
            f"The remote lacks {len(lost)} of the {number} objects of the last commit: {describe(lost)}. They are not "
            "in this clone's cache either, or damaged there: run make push in a clone that has them, or make those "
            "of a stage again (dvc repro), and run make push again."
        )
    return number


def remember_runs() -> None:
    """Write the entries of DVC's run cache for what dvc.lock says, so that undoing a change runs no stage again.

    What is stale or not here is left out, and so is a repository that DVC cannot read now: it is only for speed.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo, lock_repo
    from dvc.stage import PipelineStage

    try:
        with Repo() as repo, lock_repo(repo):
            for stage in repo.index.stages:
                # Everything must be as recorded: else its results would be noted for inputs that they are not of.
                if isinstance(stage, PipelineStage) and not stage.changed(allow_missing=False):
                    repo.stage_cache.save(stage)
    except (DvcException, LockError):
        return
