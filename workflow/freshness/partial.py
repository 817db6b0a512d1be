"""A folder of which a stage reads a part, while another part is missing here: DVC records it as if it were whole."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from dvc_data.hashfile.hash_info import HashInfo

from .folders import Listing, folder_hash
from .listings import Listings, is_folder
from .loaded import only_remote


def whole_listing(
    folder: str, missing: Iterable[Any], here: Listing, then: Callable[[Any], Listing | None]
) -> Listing | None:
    """Return the files of a folder as they would be with what is missing in it, None if that cannot be known.

    Parameters
    ----------
    folder
        Its path.
    missing
        Outputs in the folder that are not here.
    here
        The files that are.
    then
        Returns what an output that is a folder contained when it was made.
    """
    whole: Listing = {}
    for out in missing:
        inside = os.path.relpath(out.fs_path, folder)
        listing = then(out) if is_folder(out) else {"": out.hash_info.value}
        if listing is None:
            return None
        whole |= {os.path.normpath(f"{inside}/{file}"): digest for file, digest in listing.items()}
    return whole | here


def record_whole(stage: Any, repo: Any) -> None:
    """Have DVC record the folders that a stage depends on with the outputs that are missing in them."""
    listings = Listings(repo)
    missing = [out for one in listings.stages for out in one.outs if out.use_cache and out.hash_info and not out.exists]
    for dep in stage.deps:
        inside = [out for out in missing if out.fs_path.startswith(f"{dep.fs_path}{os.sep}")]
        if inside and dep.protocol == "local":
            dep.save = _saving_whole(dep, inside, listings)


def _saving_whole(dep: Any, missing: list[Any], listings: Listings) -> Callable[[], None]:
    save = dep.save

    def then(out: Any) -> Listing | None:
        found = listings.then(out)
        if found is None:
            # Only the list, not the files.
            out.get_dir_cache(remote=only_remote(listings.repo))
            found = listings.then(out)
        return found

    def save_whole() -> None:
        save()
        whole = whole_listing(dep.fs_path, missing, listings.now(dep) or {}, then)
        if whole is None:
            return
        dep.hash_info = HashInfo(dep.hash_name, folder_hash(whole))
        dep.meta.size = (dep.meta.size or 0) + sum(out.meta.size or 0 for out in missing)
        dep.meta.nfiles = len(whole)

    return save_whole
