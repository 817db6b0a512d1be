"""Ask DVC about every stage and pointer of the repository; clean up the locks that killed processes left."""

import logging
import os
import re
import shlex
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import lock_repo
from dvc.rwlock import RWLockFileCorruptedError, RWLockFileFormatError
from dvc.stage import PipelineStage
from dvc.utils.strictyaml import YAMLSyntaxError, YAMLValidationError

from .listings import Listings
from .loaded import Loaded
from .locks import remove_dead_rwlock, remove_unlinked_locks
from .look import keep_look
from .merge import MARKER
from .missing import Missing
from .release_steps import receipt_hashes
from .state import GOOD_LOCKS, command, file_name, name_of, write_whole
from .steps import Step
from .watch import watch
from .why import explain


class RefusalError(Exception):
    """DVC cannot say what is stale; the message says why."""


def ask_dvc(wait: int, status: bool, pull: bool = False) -> tuple[Loaded, dict[str, Any]]:
    """Load the repository; return it, and the answer to "what is stale?", which is also kept for the next look.

    The answer has every stage and pointer with its state, and the recorded hash of each output.

    If another DVC runs, wait for it. Remove the locks of dead processes, and replace a half-written dvc.lock by its
    last good content.

    Parameters
    ----------
    wait
        Seconds to wait for another DVC.
    status
        Whether to compare the contents, or only to load.
    pull
        Whether the lists of missing folders' files may be fetched.
    """
    deadline, loaded = time.monotonic() + wait, None
    while True:
        try:
            loaded = Loaded()
            if Path(loaded.repo.root_dir) != Path.cwd():
                raise RefusalError(f"Run it in {loaded.repo.root_dir}, the folder of the DVC repository.")
            # One lock around everything: without it, DVC would read all its files again for each question.
            with lock_repo(loaded.repo):
                loaded.load()
                answer = look_closely(loaded, pull) if status else {}
            keep_good_locks(loaded.names)
            return loaded, answer
        except (LockError, RWLockFileCorruptedError, RWLockFileFormatError) as error:
            by_links = loaded is not None and loaded.repo.config["core"].get("hardlink_lock")
            if remove_dead_rwlock() or (by_links and remove_unlinked_locks()):
                continue
            if time.monotonic() > deadline:
                raise RefusalError(f"DVC is busy in this repository; try again when it is done. {error}") from None
            time.sleep(1)
        except (YAMLSyntaxError, YAMLValidationError) as error:
            if conflicted := [path for path in named_files(str(error)) if MARKER in path.read_text(errors="replace")]:
                raise RefusalError(explain_conflict(conflicted[0])) from None
            # `dvc repro` writes dvc.lock in place: a kill at that moment leaves half a file.
            if not restore_good_lock(str(error)):
                raise RefusalError(f"DVC cannot read a file, and git may have a good version of it. {error}") from None
        except DvcException as error:
            raise RefusalError(f"DVC: {error}") from None


def look_closely(loaded: Loaded, pull: bool) -> dict[str, Any]:
    """Return what DVC knows, and keep it with the digest of what it depends on."""
    watched = watch(loaded)
    # Before DVC looks: what changes meanwhile is seen by the next look.
    digest = watched.digest() if watched else ""
    if loaded.is_outdated(locks=True):
        # It is of other definitions than those that are loaded.
        digest = ""
    steps, recorded = describe(loaded.repo, pull), recorded_hashes(loaded)
    answer = {"steps": [vars(step) for step in steps], "recorded": recorded, "pull": pull}
    keep_look(digest, watched, answer)
    return answer


def keep_good_locks(paths: Iterable[str]) -> None:
    """Keep a copy of every dvc.lock that DVC could read."""
    for path in paths:
        if Path(path).exists():
            write_whole(GOOD_LOCKS / file_name(path), Path(path).read_text(encoding="utf-8"))


def named_files(error: str) -> list[Path]:
    """Return the files that DVC's error names."""
    return [Path(word) for word in re.findall(r"'([^'\n]+)'", error) if Path(word).is_file()]


def explain_conflict(path: Path) -> str:
    """Return what to do about a file in which git left the lines of both sides."""
    text = f"{path} holds the conflict markers of a merge. "
    if path.name != "dvc.lock":
        return f"{text}Keep what is right, delete the lines with <<<<<<<, ======= and >>>>>>>, and commit."
    install = shlex.join(command("merge", "--install"))
    return f"{text}Merge it by stage: {install} && git checkout --merge -- {path}"


def restore_good_lock(error: str) -> bool:
    """Restore the dvc.lock that DVC could not read; return whether there was a good copy."""
    for good in GOOD_LOCKS.glob("*"):
        path = name_of(good)
        if path in error:
            good.replace(path)
            return True
    return False


def describe(repo: Any, pull: bool = False) -> list[Step]:
    """Return the stages and pointers of an open DVC repository."""

    def relative(path: str) -> str:
        return os.path.relpath(path, repo.root_dir)

    # At each start, DVC would name every stage that is frozen.
    logging.getLogger("dvc.repo.status").setLevel(logging.ERROR)
    status, listings = repo.status(check_updates=False), Listings(repo)
    missing = Missing(repo, listings, status, fetch=pull)
    steps = [
        Step(
            name=stage.addressing,
            kind="stage" if isinstance(stage, PipelineStage) else "pointer",
            deps=sorted({relative(dep.fs_path) for dep in stage.deps if dep.protocol == "local" and not stage.frozen}),
            outs=[relative(out.fs_path) for out in stage.outs],
            why=explain(stage, missing.left(stage, status.get(stage.addressing, [])), listings),
            missing=missing.of(stage),
        )
        for stage in listings.stages
    ]
    listings.keep_current(receipt_hashes())
    return steps


def recorded_hashes(loaded: Loaded) -> dict[str, str]:
    """Return the hash that dvc.lock has for each output of each stage, by path relative to the repository."""
    outs = [out for stage in loaded.stages.values() if isinstance(stage, PipelineStage) for out in stage.outs]
    return {os.path.relpath(out.fs_path): out.hash_info.value for out in outs if out.hash_info.value}
