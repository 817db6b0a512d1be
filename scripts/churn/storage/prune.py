"""Drop from the workspace and DVC's cache what only older weeks need, once the DVC remote holds all of it."""

import os
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from dvc.repo import Repo, lock_repo

from churn.base.command import UserError
from churn.base.drops import read_drops
from churn.base.params import read_params
from churn.base.reading import read_json
from churn.deliveries.folders import MADE, RAW
from churn.deliveries.run_lock import no_run
from churn.features.coverage import list_tables
from churn.stack.buckets import open_s3
from churn.stack.remote_contents import OBJECTS, find_altered, key_of, list_folder, list_keys
from churn.stack.remote_objects import CACHE, describe

LISTING, COVERAGE = Path("data/drops.yaml"), Path("metrics/clean_payments")
TRAINING_SET = Path("metrics/build_training_set.json")
NOT_RUN = "Nothing can be dropped before the pipeline has run with all drops: make run"


@dataclass
class Pruned:
    """What was dropped: the folders, how many drops they are of, and their bytes, in the cache too."""

    folders: list[str]
    drops: int
    size: int


def prune(keep: int) -> Pruned:
    """Drop what neither the newest drops nor the next training set need.

    Parameters
    ----------
    keep : int
        How many drops to keep whole, the newest.

    Raises
    ------
    UserError
        When the pipeline has not run, something was edited since, or the remote lacks an object.
    """
    drops = read_drops(LISTING)
    needed = find_needed(drops)
    folders = [folder for folder in list_folders(drops[:-keep]) if folder not in needed and Path(folder).exists()]
    with no_run(Path()), Repo() as repo, lock_repo(repo):
        going = [out for out in repo.index.outs if any(is_in(out, folder) for folder in folders)]
        check_unchanged(going)
        keys = check_remote(going)
        kept = cached_keys([out for out in repo.index.outs if out not in going])
        size = sum(size_of(Path(folder)) for folder in folders)
        for folder in folders:
            shutil.rmtree(folder)
        for key in keys - kept:
            path = CACHE / key
            # The list of a folder's files stays: with it, DVC's record of the folder above it can be worked out.
            if path.exists() and not key.endswith(".dir"):
                size += path.stat().st_size if path.stat().st_nlink == 1 else 0
                path.unlink()
    return Pruned(folders, len({Path(folder).name for folder in folders}), size)


def find_needed(drops: list[date]) -> set[str]:
    """Return the tables that the training set needs, now and when its dates move on to newer drops.

    Raises
    ------
    UserError
        When the pipeline has not run with all drops.
    """
    params = read_params(Path("params.yaml"))
    tables = list_tables(COVERAGE, drops, params["build_features"] | params["build_training_set"])
    if tables is None or not TRAINING_SET.exists() or not all((COVERAGE / f"{day}.json").exists() for day in drops):
        raise UserError(NOT_RUN)
    *_, newest = read_json(TRAINING_SET)["training_dates"]
    later = {f"data/{folder}/{day}" for day in drops if str(day) >= newest for folder in ("clean", "features")}
    return {*tables, *later}


def list_folders(drops: list[date]) -> list[str]:
    """Return the folders of some drops."""
    return [f"{folder}/{drop}" for drop in drops for folder in (RAW, *MADE)]


def is_in(out: Any, folder: str) -> bool:
    """Return whether an output is a folder or in it."""
    path: str = os.path.relpath(out.fs_path)
    return path == folder or path.startswith(f"{folder}/")


def check_unchanged(outs: list[Any]) -> None:
    """Raise `UserError` unless all outputs are as DVC recorded them."""
    if not all(out.hash_info for out in outs):
        raise UserError(NOT_RUN)
    if changed := [str(out) for out in outs if out.exists and out.changed_checksum()]:
        raise UserError(
            f"{changed[0]} has changed since DVC recorded it{_more(changed)}; what the remote holds is older. Run the "
            "pipeline (make run), push (make push), then prune again. Nothing was dropped."
        )


def check_remote(outs: list[Any]) -> set[str]:
    """Return the keys of the objects of some outputs; raise `UserError` unless the remote holds them all."""
    needed: dict[str, str] = {}
    with open_s3() as s3:
        held = list_keys(s3, OBJECTS)
        for out in outs:
            key = key_of(out.hash_info.value)
            needed[key] = str(out)
            if key.endswith(".dir"):
                needed |= {key_of(file["md5"]): str(out) for file in list_folder(s3, key, held, CACHE)}
        altered = find_altered(s3, needed, held, read_all=True)
    if missing := {key: of for key, of in needed.items() if key not in held}:
        raise UserError(f"The remote lacks {describe(missing)}. Send it: make push. Nothing was dropped.")
    if altered:
        raise UserError(
            f"The remote has another content of {describe(altered)} than this clone: it was damaged or changed there. "
            "Send it again: make push. Nothing was dropped."
        )
    return set(needed)


def cached_keys(outs: list[Any]) -> set[str]:
    """Return the keys of the objects of some outputs, as far as DVC's cache knows them."""
    keys = set()
    for out in outs:
        if out.hash_info and isinstance(out.hash_info.value, str):
            key = key_of(out.hash_info.value)
            keys.add(key)
            if key.endswith(".dir"):
                keys |= {key_of(file["md5"]) for file in list_folder(None, key, {}, CACHE)}
    return keys


def size_of(folder: Path) -> int:
    """Return the bytes of the files in a folder; one that the cache shares counts when it is dropped there."""
    files = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum(file.st_size for file in files if file.st_nlink == 1)


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if names[1:] else ""
