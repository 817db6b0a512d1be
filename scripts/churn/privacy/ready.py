"""What must hold before anything is erased: every place can be searched, and no other user's rows could be lost."""

import json
import os
from pathlib import Path

from dvc.repo import Repo

from churn.base.command import UserError
from churn.base.drops import read_list
from churn.base.files import write_json
from churn.base.git import run_git
from churn.deliveries.folders import RAW, folder_md5, held_md5s, pointer_of, tracked_md5, tracked_md5s
from churn.stack.settings import FOLDER

CACHE = Path(".dvc/cache/files/md5")
# The drops that an erasure has begun to rewrite: if it is killed, the next one knows why they are not as tracked.
JOURNAL = Path(".dvc/tmp/erasing.json")
UNCHANGED = "Nothing was changed."


def check_ready(root: Path) -> None:
    """Raise `UserError` if a place cannot be searched, or rows of other users could be lost."""
    check_servers(root)
    check_cache(root)
    check_branches(root)
    check_drops(root)


def has_remote() -> bool:
    """Return whether commands run here reach an S3 server."""
    return bool(os.environ.get("AWS_ENDPOINT_URL"))


def check_servers(root: Path) -> None:
    """Raise `UserError` if a stack was set up here, natively or in containers, and its buckets do not answer."""
    if (root / FOLDER).is_dir() and not has_remote():
        raise UserError(
            f"The buckets of the stack that was set up here ({FOLDER}) may hold the user, but it is not running. Start "
            f"it: make up, or make up-containers. {UNCHANGED}"
        )


def check_cache(root: Path) -> None:
    """Raise `UserError` if DVC's cache is elsewhere: other clones may use it, too."""
    with Repo(str(root)) as repo:
        path = Path(repo.cache.local.path)
    if path.resolve() != (root / CACHE).resolve():
        raise UserError(
            f"DVC's cache is in {path}, where make erase does not search: other clones may use it. Erase in a clone "
            f"with a cache of its own, then delete the objects there that are no longer used. {UNCHANGED}"
        )


def check_branches(root: Path) -> None:
    """Raise `UserError` if a branch has a drop that HEAD lacks: its objects would go, and nobody would rewrite it."""
    here = _drops_of(root, "HEAD")
    git = ("-C", str(root))
    references = run_git(*git, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes").stdout.split()
    for reference in references:
        more = sorted(_drops_of(root, reference) - here)
        # An older commit may have drops that were withdrawn since.
        if more and run_git(*git, "merge-base", "--is-ancestor", reference, "HEAD").returncode:
            raise UserError(
                f"{reference} has the drop {more[0]}, which this branch lacks: its objects may hold the user, and "
                f"would be lost for all users. Erase on the branch with all drops, or delete {reference}. "
                f"{UNCHANGED}"
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
    return set(json.loads(path.read_text())) if path.exists() else set()


def write_journal(root: Path, drops: set[str]) -> None:
    """Remember the drops that are about to be rewritten; with none, forget."""
    if drops:
        (root / JOURNAL).parent.mkdir(parents=True, exist_ok=True)
        write_json(sorted(drops), root / JOURNAL, durable=True)
    else:
        (root / JOURNAL).unlink(missing_ok=True)


def _drops_of(root: Path, reference: str) -> set[str]:
    listed = run_git("-C", str(root), "ls-tree", "--name-only", reference, f"{RAW}/")
    return {Path(one).stem for one in listed.stdout.splitlines() if one.endswith(".dvc")}
