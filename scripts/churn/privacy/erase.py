"""Erase a user from every place: search, write the ledger, rewrite or remove, and search again as a proof."""

import fcntl
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.base.command import UserError
from churn.base.drops import read_list
from churn.base.files import scratch_folder
from churn.base.printable import printable
from churn.data.mapping import Mapping
from churn.deliveries.arrivals import STABLE, explain_wait
from churn.deliveries.folders import RAW
from churn.deliveries.inbox import open_lock
from churn.deliveries.inbox_layout import DONE, REJECTED, inbox_folder
from churn.deliveries.run_lock import no_run
from churn.privacy.artifacts import (
    Artifact,
    artifact_prefix,
    erase_artifacts,
    mark_run,
    remove_examples,
    search_artifacts,
)
from churn.privacy.delivered import id_columns
from churn.privacy.objects import (
    abort_uploads,
    check_lists,
    delete_versions,
    list_of_removed,
    list_versions,
    login,
    remove_lists,
    search_objects,
    send_drops,
)
from churn.privacy.ready import check_buckets, check_ready, has_remote
from churn.privacy.search import Search
from churn.privacy.subject import Subject
from churn.privacy.workspace import Found, erase_in_folder, erase_in_raw, search_folder
from churn.release.ledger import ERASE, Move, finish_last_entry, move_production
from churn.release.model_files import EXAMPLES
from churn.release.registry import open_registry
from churn.stack.buckets import open_s3
from churn.stack.remote_contents import OBJECTS, digest_of, key_of
from churn.stack.remote_objects import CACHE
from churn.stack.settings import ARTIFACT_BUCKET, DVC_BUCKET

if TYPE_CHECKING:
    from mlflow import MlflowClient

SCRATCH = Path(".dvc/tmp/erase")


@dataclass
class Everything:
    """Where the user was found.

    Attributes
    ----------
    files : list of Found
    versions : dict of list
        The versions of objects, by bucket.
    artifacts : list of Artifact
    """

    files: list[Found] = field(default_factory=list)
    versions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)

    def cached(self) -> set[str]:
        """Return the names of the objects in DVC's cache."""
        return {one.path.parent.name + one.path.name for one in self.files if one.place.name == "DVC's cache"}

    def objects(self) -> set[str]:
        """Return the names of DVC's objects, in the cache and on the remote."""
        return self.cached() | {digest_of(one["Key"]) for one in self.versions.get(DVC_BUCKET, [])}

    def count(self) -> Counter[str]:
        """Return the number of files, objects and artifacts by place."""
        counts = Counter(one.place.name for one in self.files)
        counts.update({f"bucket {bucket}": len(found) for bucket, found in self.versions.items() if found})
        counts.update({"MLflow's artifacts": len(self.artifacts)} if self.artifacts else {})
        return counts


def erase_user(subject: Subject, mapping: Mapping, why: str, root: Path) -> tuple[Counter[str], list[Path]]:
    """Erase a user; return how many files, objects and artifacts held the user, by place, and the files in doubt.

    Raises
    ------
    UserError
        When a listed drop is not here, Snakemake runs, a server does not answer or refuses, or something is left.
    """
    if subject.is_word_in(why):
        raise UserError("WHY has the id of the user, but it is kept in the ledger. Write the reason without the id.")
    check_ready(root)
    with _alone(root), ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder(root / SCRATCH))
        s3 = stack.enter_context(open_s3(login())) if has_remote() else None
        if s3 is not None:
            check_buckets(s3)
        client = stack.enter_context(open_registry())
        search = Search(subject, mapping, scratch, id_columns(mapping, root))
        found = search_everything(search, root, s3, client)
        check_arriving(found.files, inbox_folder(), mapping)
        if s3 is not None:
            check_lists(s3, root, found.objects())
        counts = found.count()
        if counts:
            write_entry(client, why, counts.total())
        # Also when nothing is found: a killed command may have left drops that are not tracked.
        erase_in_raw(search, root, found.files)
        if counts:
            erase_rest(search, root, found, s3, client)
            left = search_everything(search, root, s3, client)
            if left.count():
                raise UserError(explain_left(left))
    return counts, sorted(search.doubts)


def search_everything(search: Search, root: Path, s3: Any, client: "MlflowClient") -> Everything:
    """Search the folder, the buckets and MLflow."""
    found = Everything(search_folder(search, root))
    # What DVC's cache says of an object holds for the remote's object of the same name.
    held = found.cached()
    names = (one.parent.name + one.name for one in (root / CACHE / OBJECTS).glob("*/*"))
    known = {key_of(name): name in held for name in names}
    if s3 is not None:
        buckets = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
        for bucket, prefix in prefixes_of(client).items():
            if bucket in buckets and prefix:
                found.versions[bucket] = search_objects(search, s3, bucket, prefix, known)
    found.artifacts = search_artifacts(search, client)
    return found


def prefixes_of(client: "MlflowClient") -> dict[str, str]:
    """Return how the keys of this pipeline's objects begin, by bucket; "" if it has none there.

    Other pipelines may share the server: their runs are theirs to erase.
    """
    return {DVC_BUCKET: OBJECTS, ARTIFACT_BUCKET: artifact_prefix(client)}


def erase_rest(search: Search, root: Path, found: Everything, s3: Any, client: "MlflowClient") -> None:
    """Erase the user outside of the raw drops."""
    for one in found.files:
        if one.place.name == "MLflow's artifacts" and (run_id := remove_examples(one.path)):
            mark_run(client, run_id)
    removed = found.objects()
    # The lists before the files: after a kill, the files that are left lead to them.
    remove_lists(root, removed)
    if s3 is not None and DVC_BUCKET in found.versions:
        _, drops = read_list(root / "data/drops.yaml")
        send_drops(s3, [root / RAW / str(drop) for drop in drops])
        delete_versions(s3, DVC_BUCKET, list_of_removed(s3, removed))
        delete_versions(s3, DVC_BUCKET, found.versions[DVC_BUCKET])
    erase_in_folder(search, root, found.files)
    erase_artifacts(search, client, found.artifacts)
    if s3 is not None:
        for bucket, prefix in prefixes_of(client).items():
            if bucket in found.versions:
                abort_uploads(s3, bucket, prefix)
        # MLflow has written new versions of its tables by now.
        delete_versions(s3, ARTIFACT_BUCKET, found.versions.get(ARTIFACT_BUCKET, []))
        if found.versions.get(ARTIFACT_BUCKET):
            listed = list_versions(s3, ARTIFACT_BUCKET, artifact_prefix(client))
            delete_versions(s3, ARTIFACT_BUCKET, [one for one in listed if one["Key"].endswith(EXAMPLES)])


def check_arriving(files: list[Found], inbox: Path, mapping: Mapping) -> None:
    """Raise `UserError` if a delivery with the user is still arriving: its sender would write over the new files."""
    top, now = inbox.absolute(), datetime.now().astimezone()
    inside = [one.path.absolute().relative_to(top) for one in files if one.path.absolute().is_relative_to(top)]
    for name in sorted({path.parts[0] for path in inside} - {DONE, REJECTED}):
        if wait := explain_wait(inbox / name, STABLE, now, mapping.names):
            raise UserError(
                f"{printable(name)} in the inbox holds the user and is still arriving: {wait}. Wait until it is "
                "complete, or have its sender remove it; then erase. Nothing was changed."
            )


def write_entry(client: "MlflowClient", why: str, places: int) -> None:
    """Write the erasure into the ledger, before anything is erased."""
    last = finish_last_entry(client)
    why = f"{why} ({places} files and objects)"
    move_production(client, Move(ERASE, "", "", "", why), last, advice="Run the same command again.")


def explain_left(left: Everything) -> str:
    """Return the message of a proof that failed: what still holds the user."""
    names = [
        *(str(one.path) for one in left.files),
        *(f"{bucket}/{one['Key']}" for bucket, found in left.versions.items() for one in found),
        *(f"{one.path} of MLflow's run {one.run_id}" for one in left.artifacts),
    ]
    return (
        f"The user is still in {len(names)} places: {', '.join(names[:5])}{' ...' if names[5:] else ''}. Another "
        "process may have written there; run the same command again."
    )


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep runs, ingestions and other erasures from starting; the inbox waits."""
    with no_run(root, alone=True), ExitStack() as stack:
        inbox = inbox_folder()
        if inbox.is_dir() and os.access(inbox, os.W_OK):
            lock = stack.enter_context(open_lock(inbox / ".lock"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
