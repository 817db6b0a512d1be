"""Write files whole or not at all, with the same bytes for the same content."""

import fcntl
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

# How DuckDB writes every table. Higher compression levels take longer and do not make these tables smaller.
PARQUET = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"

# Scratch folders begin with this; .dvcignore and .gitignore name it too.
SCRATCH, LOCK = ".writing-", ".lock"


def quote(text: object) -> str:
    """Return a text, a path or a name as an SQL string literal."""
    return "'" + str(text).replace("'", "''") + "'"


def part_path(table: Path, number: int) -> Path:
    """Return the path of part `number` (from 0) of a table, a folder of Parquet files that are read by name."""
    return table / f"part-{number:05}.parquet"


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder beside `target` and remove it afterwards.

    A killed process leaves its folder behind. DVC and git ignore such folders by their name (`.writing-...`), and the
    next call for the same target removes them.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # One process at a time makes a folder and locks it, so that nobody finds a new one without its lock.
        with _locked(target.parent):
            _remove_unlocked(target)
            folder = Path(tempfile.mkdtemp(prefix=f"{SCRATCH}{target.name}-", dir=target.parent))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            (folder / LOCK).touch()
            stack.enter_context(_locked(folder / LOCK))
        yield folder


def remove_scratch(target: Path) -> None:
    """Remove the scratch folders of a target whose processes are gone."""
    if target.parent.is_dir():
        with _locked(target.parent):
            _remove_unlocked(target)


def _remove_unlocked(target: Path) -> None:
    for folder in target.parent.glob(f"{SCRATCH}{glob.escape(target.name)}-*"):
        lock = folder / LOCK
        lock.touch()
        with suppress(BlockingIOError), _locked(lock, wait=False):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Lock a file or a folder; the kernel releases the lock when the process dies."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


@contextmanager
def write_whole(target: Path, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path, and move it to `target` when the block succeeds.

    The path may become a file or a folder. When the block raises, nothing is left behind and an older `target` is
    unchanged.

    Parameters
    ----------
    target : Path
        The file or folder to write.
    durable : bool
        Wait until the disk has it: a power cut soon after a rename may leave an empty file. For what cannot be computed
        again; it costs about 12 ms for a small file.
    """
    with scratch_folder(target) as folder:
        yield folder / target.name
        if durable:
            sync(folder / target.name)
        if target.is_dir():
            target.replace(folder / "replaced")
        (folder / target.name).replace(target)
        if durable:
            sync_names(target.parent)


def sync(path: Path) -> None:
    """Wait until the disk has a file, or a folder with all that is in it."""
    inner = [*path.rglob("*")] if path.is_dir() else []
    for one in [*(each for each in inner if not each.is_symlink()), path]:
        if one.is_file() or one.is_dir():
            sync_names(one)


def sync_names(path: Path) -> None:
    """Wait until the disk has the content of a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(content: object, target: Path, durable: bool = False) -> None:
    """Write JSON with sorted keys and floats rounded to 6 digits, so that equal content gives equal bytes."""
    rounded = round_floats(content, lambda value: round(value, 6))
    with write_whole(target, durable) as path:
        path.write_text(json.dumps(rounded, indent=2, sort_keys=True, allow_nan=False) + "\n")


def round_floats(content: object, rounded: Callable[[float], float]) -> object:
    """Return nested lists and dicts with every float rounded."""
    if isinstance(content, float):
        return rounded(content)
    if isinstance(content, dict):
        return {key: round_floats(value, rounded) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [round_floats(value, rounded) for value in content]
    return content
