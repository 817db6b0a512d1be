"""Explain errors that come from the machine or from a file, not from the code: permissions, memory, damaged files."""

import errno
import signal
import subprocess
import sys

# What to do about an error of the system; the others are named by the system's own words.
FIXES = {
    errno.EACCES: "Run this as the user who owns it, or correct its permissions (ls -l).",
    errno.EPERM: "Run this as the user who owns it, or correct its permissions (ls -l).",
    errno.ENOENT: "Run this in the repository's folder, or get the file back: dvc pull, git checkout, or make run.",
    errno.EISDIR: "A file is expected there: move the folder away.",
    errno.ENOTDIR: "A folder is expected there: move the file away.",
    errno.ELOOP: "A link leads back to itself: remove it.",
    errno.EMFILE: "Raise the limit of open files: ulimit -n 4096.",
    errno.ENOMEM: "Stop other programs, or use a machine with more memory.",
    errno.EIO: "The disk may be failing: look at the system's log.",
}
TRY_AGAIN = "Fix this, then run again."
MEMORY = (
    "Not enough memory. Stop other programs or use a machine with more; docs/guides/operations.md says how much each "
    "step needs."
)


def explain_failure(error: BaseException) -> str:
    """Return what went wrong, where and how to fix it; empty for an error in the code, whose traceback is needed."""
    if isinstance(error, MemoryError):
        return f"{MEMORY} ({first_line(error)})" if str(error) else MEMORY
    if isinstance(error, UnicodeDecodeError):
        return f"A file is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
    if isinstance(error, subprocess.CalledProcessError):
        return explain_command(error)
    if isinstance(error, OSError):
        return explain_system(error)
    return explain_duckdb(error) or explain_arrow(error)


def explain_system(error: OSError) -> str:
    """Return one message for an error of the operating system."""
    names = [str(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes) and name]
    reason = error.strerror or first_line(error)
    where = f"{' -> '.join(names)}: {reason}" if names else reason
    return f"{where}. {FIXES.get(error.errno or 0, TRY_AGAIN)}"


def explain_command(error: subprocess.CalledProcessError) -> str:
    """Return one message for a program that failed or was killed."""
    program = error.cmd if isinstance(error.cmd, str) else str(next(iter(error.cmd), ""))
    if error.returncode < 0:
        name = signal.Signals(-error.returncode).name
        fix = MEMORY if name == "SIGKILL" else TRY_AGAIN
        return f"{program} was killed ({name}). {fix}"
    said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr or ""
    last = said.strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
    return f"{program} failed: {last[0]}. {TRY_AGAIN}"


def explain_duckdb(error: BaseException) -> str:
    """Return one message for DuckDB's errors about memory and files; empty for any other error."""
    duckdb = sys.modules.get("duckdb")
    if duckdb is None:
        return ""
    if isinstance(error, duckdb.OutOfMemoryException):
        return f"{first_line(error)} In params.yaml, raise duckdb.memory_limit."
    # A damaged Parquet file is an "invalid input" that names the file.
    is_damaged = isinstance(error, duckdb.InvalidInputException) and ".parquet" in str(error)
    if isinstance(error, duckdb.IOException) or is_damaged:
        return f"{first_line(error)}. If the file is damaged, delete it, and make run makes it again."
    return ""


def explain_arrow(error: BaseException) -> str:
    """Return one message for PyArrow's error about a damaged Parquet file; empty for any other error."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is None or not isinstance(error, pyarrow.ArrowInvalid) or "arquet" not in str(error):
        return ""
    return f"{first_line(error)} Delete the file, and make run makes it again."


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its type if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
