"""The files that the bridge keeps, all under .snakemake/freshness, and how they are written."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

STATE, IGNORE = Path(".snakemake/freshness"), Path(".snakemake/.gitignore")
# What the main Snakemake process found, and what came of each stage of the last run.
PLAN, OUTCOMES = STATE / "plan.json", STATE / "outcomes"
# DVC's last answer, and what it depends on.
LOOK = STATE / "look.json"
TOKENS = STATE / "tokens"
# What release steps ran with, and the lock of each that is running.
RECEIPTS, RELEASE_LOCKS = STATE / "receipts", STATE / "releases"
# Copies of every dvc.lock that DVC could read, and the files behind the hashes of folders.
GOOD_LOCKS, LISTINGS = STATE / "good_locks", STATE / "listings"
DVC_LOCK = Path(".dvc/tmp/lock")
# Where the run's DVC process listens, and the queue of those that wait for DVC's lock.
SOCKET, TURN = STATE / f"dvc-{os.uname().nodename}.sock", STATE / "turn"


def command(*words: str) -> list[str]:
    """Return a command of this package: it works in any folder, whether the package is installed or not."""
    return [sys.executable, str(Path(__file__).resolve().parent), *words]


# What a file's name cannot have, and what is a wildcard in Snakemake's.
CODES = {"%": "%25", "/": "%2F", "{": "%7B", "}": "%7D"}


MOST_NAMED = 3


def some(names: Iterable[str]) -> str:
    """Return some of many names, and how many more there are."""
    names = list(names)
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def file_name(name: str) -> str:
    """Return a step's name or a path as a file name."""
    for letter, code in CODES.items():
        name = name.replace(letter, code)
    return name


def name_of(path: Path) -> str:
    """Return the step's name or the path after which a file was named by `file_name`."""
    name = path.name
    for letter, code in reversed(CODES.items()):
        name = name.replace(code, letter)
    return name


def outcome_file(name: str) -> Path:
    """Return the file that says what came of a step in the last run; there is none while it is not done."""
    return OUTCOMES / file_name(name)


def stamp(name: str) -> str:
    """Return the path of the file that serves as the output of a stage without outputs."""
    return str(STATE / "done" / file_name(name))


def write_whole(path: Path, text: str) -> None:
    """Write a file in one step: no reader ever sees half of it, not even after a kill or on a full disk."""
    new, path = STATE / f"{os.getpid()}.new", path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text, encoding="utf-8")
        with contextlib.suppress(FileNotFoundError):
            new.chmod(path.stat().st_mode)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def stop(message: str) -> NoReturn:
    """End this process with an error message; Snakemake would print lines of our code with an exception's."""
    sys.exit(f"ERROR: {message}")


def exit_with(job: Callable[[], int]) -> NoReturn:
    """End this process with the job's exit code; an error of a file or of memory is one line, not a traceback."""
    try:
        sys.exit(job())
    except KeyboardInterrupt:
        sys.exit(130)
    except FAILURES as error:
        sys.exit(f"ERROR: {explain(error)}")


# What the machine or a file causes, not the code.
FAILURES = (OSError, MemoryError, UnicodeDecodeError)


def explain(error: BaseException) -> str:
    """Return what went wrong and where, in one line."""
    if isinstance(error, MemoryError):
        return "not enough memory. Stop other programs, or run fewer steps at once: --cores 1."
    if isinstance(error, UnicodeDecodeError):
        return f"a file that DVC or Snakemake reads is not UTF-8 text ({error.reason} at byte {error.start + 1})."
    return str(error)
