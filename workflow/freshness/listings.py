"""Which files were in a folder when DVC recorded its hash, so that `why` can name the file that changed.

dvc.lock has only one hash for a folder. The listing behind it is kept under .snakemake/freshness/listings; where it is
not, as in a fresh clone, it is rebuilt and used only if it has the recorded hash.
"""

import hashlib
import io
import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .folders import Listing, folder_hash
from .state import LISTINGS, write_whole


def read_listing(digest: str) -> Listing | None:
    """Return the files behind a folder's hash, None if no whole listing of it is kept."""
    try:
        listing: Listing = json.loads((LISTINGS / digest).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return listing


def is_folder(item: Any) -> bool:
    """Return whether what DVC recorded for a dependency or an output is a folder, and not a file or parameters."""
    return isinstance(item.hash_info.value, str) and bool(item.hash_info.isdir)


class Listings:
    """The listings of the folders that the stages of an open DVC repository read and make."""

    def __init__(self, repo: Any):
        self.repo = repo
        self.stages = repo.index.stages
        self.in_use: set[str] = set()
        self._read_now: dict[str, Listing | None] = {}

    def now(self, item: Any) -> Listing | None:
        """Return what a folder contains now, None if it is not a folder; DVC reads only files that are new to it."""
        path = item.fs_path
        if path not in self._read_now:
            self._read_now[path] = None
            if item.fs.isdir(path):
                tree = item._build(
                    cache_of(item),
                    path,
                    item.fs,
                    item.hash_name,
                    ignore=item.dvcignore,
                    dry_run=True,
                    no_progress_bar=True,
                )[-1]
                self._read_now[path] = _files_of(tree)
        return self._read_now[path]

    def then(self, item: Any) -> Listing | None:
        """Return what a folder contained when its hash was recorded, None if that cannot be found out."""
        digest = item.hash_info.value
        kept = read_listing(digest)
        if kept is not None:
            return kept
        for listing in self._guesses(item):
            if listing is not None and folder_hash(listing) == digest:
                self._keep(digest, listing)
                return listing
        return None

    def keep_current(self, used_elsewhere: Iterable[str]) -> None:
        """Keep the listing of every folder, as recorded and as it is now, and remove those that nothing names."""
        for stage in self.stages:
            for item in (*stage.deps, *stage.outs):
                if item.protocol == "local" and is_folder(item):
                    self.in_use.add(item.hash_info.value)
                    if not (LISTINGS / item.hash_info.value).exists():
                        self.then(item)
        for listing in self._read_now.values():
            # After the next run, this is the one that dvc.lock names.
            if listing is not None:
                self._keep(folder_hash(listing), listing)
        self.in_use |= set(used_elsewhere)
        for path in LISTINGS.glob("*"):
            if path.name not in self.in_use:
                path.unlink()

    def _keep(self, digest: str, listing: Listing) -> None:
        self.in_use.add(digest)
        if not (LISTINGS / digest).exists():
            write_whole(LISTINGS / digest, json.dumps(listing, indent=0))

    def _guesses(self, item: Any) -> Iterator[Listing | None]:
        """Return what the folder may have contained, the cheapest guess first."""
        yield self._cached(item)
        yield self.now(item)
        yield self._made_by_stages(item)
        yield self._read_by_stages(item)
        yield from self._committed(item)

    def _cached(self, item: Any) -> Listing | None:
        """Return the listing in DVC's cache, which has one for every folder that a stage made."""
        from dvc_data.hashfile import load
        from dvc_objects.errors import ObjectFormatError

        try:
            return _files_of(load(cache_of(item), item.hash_info))
        except (FileNotFoundError, ObjectFormatError):
            return None

    def _made_by_stages(self, item: Any) -> Listing:
        """Return the files that stages made in the folder, as recorded."""
        listing: Listing = {}
        for out in (out for stage in self.stages for out in stage.outs if out.hash_info):
            name = os.path.relpath(out.fs_path, item.fs_path)
            if name.startswith(os.pardir):
                continue
            if is_folder(out):
                files = self._cached(out) or {}
                listing |= {f"{name}/{path}": digest for path, digest in files.items()}
            else:
                listing[name] = out.hash_info.value
        return listing

    def _read_by_stages(self, item: Any) -> Listing:
        """Return the files of the folder that stages read, as recorded."""
        deps = [dep for stage in self.stages for dep in stage.deps if isinstance(dep.hash_info.value, str)]
        names = {
            os.path.relpath(dep.fs_path, item.fs_path): dep.hash_info.value for dep in deps if dep.protocol == "local"
        }
        return {name: digest for name, digest in names.items() if name != "." and not name.startswith(os.pardir)}

    def _committed(self, item: Any) -> Iterator[Listing]:
        """Return the folder as committed: with the last change of its dvc.lock, and in the newest commit."""
        lock = Path(item.stage.path).with_name("dvc.lock")
        last = self._git("log", "-1", "--format=%H", "--", str(lock)).decode().strip()
        for commit in filter(None, (last, "HEAD")):
            blobs = {}
            for entry in self._git("ls-tree", "-r", "-z", commit, "--", item.fs_path).decode().split("\0"):
                about, _, name = entry.partition("\t")
                path = Path(self.repo.root_dir, name)
                if name and not self.repo.dvcignore.is_ignored_file(str(path)):
                    blobs[os.path.relpath(path, item.fs_path)] = about.split()[2]
            contents = io.BytesIO(self._git("cat-file", "--batch", sent="\n".join(blobs.values())))
            listing = {}
            for name in blobs:
                # A line that ends in the size, the content, and an empty line.
                size = contents.readline().split()[-1:]
                listing[name] = hashlib.md5(contents.read(int(size[0]) if size else 0)).hexdigest()
                contents.readline()
            yield listing

    def _git(self, *arguments: str, sent: str = "") -> bytes:
        """Return what git prints, nothing if it fails: a repository may do without git."""
        try:
            return subprocess.run(
                ["git", *arguments], cwd=self.repo.root_dir, input=sent.encode(), capture_output=True, check=True
            ).stdout
        except (OSError, subprocess.CalledProcessError):
            return b""


def cache_of(item: Any) -> Any:
    """Return DVC's cache for a dependency or an output; what lies outside the repository has the local one."""
    return item.cache if item.is_in_repo else item.local_cache


def _files_of(tree: Any) -> Listing | None:
    from dvc_data.hashfile.tree import Tree

    if not isinstance(tree, Tree):
        return None
    return {"/".join(key): digest.value for key, _, digest in tree}
