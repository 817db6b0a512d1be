"""Data that DVC tracks and that is not here, as in a clone that has not pulled it: it is missing, not changed."""

import os
from typing import Any

from dvc.stage import PipelineStage

from .folders import Listing, folder_hash
from .listings import Listings, is_folder
from .loaded import only_remote
from .partial import whole_listing
from .steps import overlap

CHANGED_OUTS, CHANGED_DEPS = "changed outs", "changed deps"


class Missing:
    """What is missing of the outputs of the stages, and of the data of the pointers.

    Parameters
    ----------
    repo : dvc.repo.Repo
        The open repository.
    listings
        The contents of its folders.
    status
        What DVC says of each stage and pointer.
    fetch
        Whether the list of a missing folder's files may be fetched, to compare what stages read of it.
    """

    def __init__(self, repo: Any, listings: Listings, status: dict[str, Any], fetch: bool):
        self._root, self._listings, self._fetch = repo.root_dir, listings, fetch
        self._remote = only_remote(repo)
        self._can_pull = bool(repo.config.get("remote"))
        self._by_step: dict[str, dict[str, str]] = {}
        self._outs: dict[str, Any] = {}
        for stage in listings.stages:
            name = stage.addressing
            if changed := _entry(status.get(name, []), CHANGED_OUTS):
                outs = [out for out in stage.outs if str(out) in changed and out.hash_info and out.use_cache]
                self._by_step[name] = self._find_all(stage, outs)

    def of(self, stage: Any) -> dict[str, str]:
        """Return the missing files of a stage or pointer, and how to get each; "" if the stage can make it again."""
        return self._by_step.get(stage.addressing, {})

    def left(self, stage: Any, status: list[Any]) -> list[Any]:
        """Return DVC's status of a stage or pointer without what is only missing."""
        left: list[Any] = []
        for change in status:
            if isinstance(change, str):
                left.append(change)
                continue
            for kind, paths in change.items():
                # A pointer of which a part is missing is not recorded, whatever else has changed in it.
                gone = self.of(stage) if kind == CHANGED_OUTS else {}
                items = {str(item): item for item in (stage.outs if kind == CHANGED_OUTS else stage.deps)}
                kept = {
                    path: state
                    for path, state in paths.items()
                    if not any(overlap(self._relative(items[path]), one) for one in gone)
                    and not (kind == CHANGED_DEPS and self._explains(items[path], state))
                }
                if kept:
                    left.append({kind: kept})
        return left

    def _find_all(self, stage: Any, outs: list[Any]) -> dict[str, str]:
        found = {path: how for out in outs for path, how in self._find(stage, out).items()}
        if found and isinstance(stage, PipelineStage):
            # Another output may be in the cache, as one of many equal ones: to restore it alone, the stage would run.
            for path, out in ((self._relative(out), out) for out in outs):
                if path not in found and not os.path.lexists(out.fs_path):
                    found[path], self._outs[path] = "", out
        return found

    def _find(self, stage: Any, out: Any) -> dict[str, str]:
        path, is_pointer = self._relative(out), not isinstance(stage, PipelineStage)
        here = os.path.lexists(out.fs_path)
        if here and not (is_pointer and is_folder(out)):
            return {}
        gone = self._gone(path, out) if here else [path]
        cached = bool(gone) and not out.changed_cache()
        if not is_pointer and (cached or not self._can_pull):
            # DVC restores it, or makes it again.
            return {}
        if gone:
            self._outs[path] = out
        if not is_pointer:
            return dict.fromkeys(gone, "")
        how = f"dvc {'checkout' if cached else 'pull'} {gone[0] if here and gone else stage.addressing}"
        if here and gone:
            how += f" (or, to record what is here now: dvc commit {stage.addressing})"
        return dict.fromkeys(gone, how)

    def _gone(self, path: str, out: Any) -> list[str]:
        """Return the files that are gone from a folder; then the folder itself, if what is left is not as recorded."""
        then, now = self._listing(out), self._listings.now(out) or {}
        if then is None:
            return [path]
        gone = [f"{path}/{name}" for name in sorted(then.keys() - now.keys())]
        return [*gone, path] if gone and now.items() - then.items() else gone

    def _explains(self, dep: Any, state: Any) -> bool:
        """Return whether a dependency differs only because data is missing: with it, it would be as recorded."""
        if state not in ("deleted", "modified") or dep.protocol != "local" or not isinstance(dep.hash_info.value, str):
            return False
        path, recorded = self._relative(dep), dep.hash_info.value
        missing = {out: one for out, one in self._outs.items() if overlap(out, path)}
        if not missing:
            return False
        above = next((out for out in missing if path == out or path.startswith(f"{out}/")), None)
        if above is None:
            return self._folder_with(path, missing, self._listings.now(dep) or {}, state) in (recorded, None)
        if path == above:
            same = bool(missing[above].hash_info.value == recorded)
            if state == "deleted" or not same:
                return same
            # A part is gone: the rest must be as recorded.
            then = self._listing(missing[above])
            return then is not None and folder_hash(then | (self._listings.now(dep) or {})) == recorded
        if state == "modified":
            return False
        listing = self._listing(missing[above])
        # Without the list of its files, a missing folder is taken to be what it was, as by `dvc repro --allow-missing`.
        return listing is None or listing.get(os.path.relpath(path, above)) == recorded

    def _folder_with(self, path: str, missing: dict[str, Any], here: Listing, state: str) -> str | None:
        """Return the hash of a folder as it would be with what is missing in it, None if that cannot be known."""
        folder = os.path.join(self._root, path)  # noqa: PTH118
        whole = whole_listing(folder, missing.values(), here, self._listing)
        if whole is None:
            return None if state == "deleted" else ""
        return folder_hash(whole)

    def _listing(self, out: Any) -> Listing | None:
        listing = self._listings.then(out)
        if listing is None and self._fetch:
            out.get_dir_cache(remote=self._remote)
            listing = self._listings.then(out)
        return listing

    def _relative(self, item: Any) -> str:
        return str(os.path.relpath(item.fs_path, self._root))


def _entry(status: list[Any], kind: str) -> dict[str, Any]:
    return next((change[kind] for change in status if isinstance(change, dict) and kind in change), {})
