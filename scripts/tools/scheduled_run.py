"""What the schedule runs: take in the inbox, run what is stale, say what happened.

Reads
    the inbox, and what the pipeline reads
Writes
    what ingest_inbox and Snakemake write; logs/schedule.log, to which each run adds what it printed

Two of them never run at once. What Snakemake cannot tell itself (an inbox that cannot be read, a run that never began)
is told to CHURN_NOTIFY_URLS from here.
"""

import argparse
import fcntl
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TextIO

from churn.alerts.channels import VARIABLE
from churn.alerts.failure import first_error, send_failure
from churn.base.command import UserError, run_command
from churn.deliveries.inbox_layout import inbox_folder, read_rejected

LOG, LOCK = Path("logs/schedule.log"), Path(".snakemake/schedule.lock")
INGEST = ("scripts", "inbox", "--commit")
RUN = ("-m", "snakemake", "--cores", "all", "--quiet", "host", "progress")
SUMMARIZE = ("scripts", "summary")
# How Snakemake begins to tell of a failed job, of which the Snakefile's onerror has sent a message.
JOB_FAILED = "Error in rule "


def run_scheduled(log: Path, lock: Path) -> None:
    """Do one scheduled run in this folder.

    Parameters
    ----------
    log : Path
        File to add what is printed to.
    lock : Path
        File that is locked meanwhile; the lock dies with this process.

    Raises
    ------
    UserError
        When a delivery was moved aside, or something failed; the rest was done all the same.
    """
    for path in log, lock:
        path.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held, log.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another scheduled run is at work here; this one leaves it to that one.")
            return
        file.write(f"\n==== {datetime.now().astimezone().isoformat(' ', 'seconds')}\n")
        failures, before = [], read_rejected(inbox_folder())
        code, said = run_and_log(INGEST, file)
        new = [one for one in read_rejected(inbox_folder()).items() if one[0] not in before]
        if code and not new:
            failures.append(("ingest_inbox", first_error(said)))
        code, said = run_and_log(RUN, file)
        if code and JOB_FAILED not in said:
            failures.append(("snakemake", first_error(said)))
            failures += [("ingest_inbox", f"{name} moved aside: {reason}") for name, reason in new]
        if not code:
            run_and_log(SUMMARIZE, file)
        if os.environ.get(VARIABLE):
            send_failure(failures)
    if code or failures or new:
        raise UserError(f"Something was wrong; it stands above, and in {log}.")


def run_and_log(arguments: tuple[str, ...], log: TextIO) -> tuple[int, str]:
    """Run Python with these arguments; print what it prints, and add it to the log; return exit code and text."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            print(line, end="", flush=True)
            log.write(line)
            log.flush()
    return process.returncode, "".join(lines)


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    run_scheduled(LOG, LOCK)


if __name__ == "__main__":
    run_command(main)
