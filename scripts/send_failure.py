"""Tell people that a run failed: which rules, and what their logs say first.

Reads
    CHURN_NOTIFY_URLS; the logs of the jobs that failed
Writes
    one message to each address; `dvc repro`, which is for people at a terminal, sends none
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from churn.alerts import send_message
from churn.command import run_command
from churn.provenance import current_commit
from churn.registry import MODEL


def send_failure(jobs: list[tuple[str, Iterable[str]]]) -> None:
    """Send one message that names what failed; none when nothing did, as when a run is interrupted.

    Parameters
    ----------
    jobs : list of tuple
        The name of each job that failed, and its logs.
    """
    if jobs:
        told = [f"{name}: {first_error(logs)}{name_logs(logs)}" for name, logs in sorted(jobs)]
        names = ", ".join(sorted({name for name, _ in jobs}))
        send_message(f"{MODEL}: failure of {names}", [*told, f"Commit: {current_commit()[:7]}"], "failure")


def first_error(logs: Iterable[str]) -> str:
    """Return the first line of the logs that begins with ERROR, else the last one."""
    texts = [Path(log).read_text(errors="replace") for log in logs if Path(log).exists()]
    lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "nothing in its log")


def name_logs(logs: Iterable[str]) -> str:
    """Return the logs' paths in brackets."""
    return f" ({', '.join(map(str, logs))})" if logs else ""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="what failed")
    parser.add_argument("log", nargs="*", help="its logs")
    args = parser.parse_args()
    send_failure([(args.name, args.log)])


if __name__ == "__main__":
    run_command(main)
