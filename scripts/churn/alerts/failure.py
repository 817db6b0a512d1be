"""The message about a failed run: what failed, and the first error in its log.

`dvc repro` sends no messages: it is run by someone at a terminal.
"""

from collections.abc import Iterable
from pathlib import Path

from churn.alerts.channels import send_message
from churn.base.addresses import hide_logins
from churn.release.names import model_name
from churn.release.provenance import current_commit

# How `run_command` begins a `UserError`, whose first line has no value of the data.
ERROR = "ERROR: "
ENDED = ("Killed", "Terminated", "Aborted", "Segmentation fault", "Bus error")


def send_failure(failures: list[tuple[str, str]]) -> None:
    """Send one message that names what failed; send nothing if the list is empty, as after an interrupted run.

    Parameters
    ----------
    failures : list of tuple
        The name of what failed (for a job, its rule) and the reason.
    """
    if failures:
        lines = [hide_logins(f"{name}: {why}") for name, why in sorted(failures)]
        names = ", ".join(sorted({name for name, _ in failures}))
        send_message(f"{model_name()}: failure of {names}", [*lines, f"Commit: {current_commit()[:7]}"], "failure")


def explain_failure(logs: Iterable[str]) -> str:
    """Return the first error in a job's logs, and their paths."""
    texts = [Path(log).read_text(errors="replace") for log in logs if Path(log).exists()]
    return f"{first_error(''.join(texts))} ({', '.join(map(str, logs)) or 'no log'})"


def first_error(text: str) -> str:
    """Return the first line of the first `UserError`; of other output only what the shell says of an ended process.

    Any other line may quote a row: the last line of a traceback, a warning of a library. A reader finds it in the log.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    known = (line for line in lines if line.startswith(ERROR) or line in ENDED)
    first = next(known, "it ended without a clear message" if lines else "nothing was printed")
    return first.removesuffix(" For example:")
