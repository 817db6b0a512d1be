"""Do one scheduled run: ingest the inbox, run what is stale, print a summary.

Reads
    the inbox, and what the pipeline reads
Writes
    the outputs of inbox and Snakemake; logs/schedule.log, to which each run appends its output

Two scheduled runs never run at once. Failures that Snakemake cannot report (an unreadable inbox, a run that did not
start) are sent to CHURN_NOTIFY_URLS from here.
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
from churn.privacy.places import BEGIN, SCHEDULE

LOCK = Path(".snakemake/schedule.lock")
INGEST = ("scripts", "inbox", "--commit")
RUN = ("-m", "snakemake", "--cores", "all")
SUMMARIZE = ("scripts", "summary")
RETAIN = ("scripts", "retention")
# Snakemake prints this for a failed job; the Snakefile's onerror has then already sent a message.
JOB_FAILED = "Error in rule "


def run_scheduled(log: Path, lock: Path) -> None:
    """Do one scheduled run in this folder.

    Parameters
    ----------
    log : Path
        File to append the output to.
    lock : Path
        File that is locked during the run; the lock ends with this process.

    Raises
    ------
    UserError
        When a delivery was rejected or something failed; everything else was still done.
    """
    for path in log, lock:
        path.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held, log.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another scheduled run is already running here; nothing to do.")
            return
        file.write(f"\n{BEGIN}{datetime.now().astimezone().isoformat(' ', 'seconds')}\n")
        failures, before = [], read_rejected(inbox_folder())
        code, output = run_and_log(INGEST, file)
        new = [one for one in read_rejected(inbox_folder()).items() if one[0] not in before]
        if code and not new:
            failures.append(("inbox", first_error(output)))
        code, output = run_and_log(RUN, file)
        if code and JOB_FAILED not in output:
            failures.append(("snakemake", first_error(output)))
            failures += [("inbox", f"{name} rejected: {reason}") for name, reason in new]
        if not code:
            run_and_log(SUMMARIZE, file)
        kept, output = run_and_log(RETAIN, file)
        if kept:
            failures.append(("retention", first_error(output)))
        if os.environ.get(VARIABLE):
            send_failure(failures)
    if code or failures or new:
        raise UserError(f"The scheduled run failed; the reason is printed above and in {log}.")


def run_and_log(arguments: tuple[str, ...], log: TextIO) -> tuple[int, str]:
    """Run Python with these arguments; print and log its output; return exit code and output."""
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
    run_scheduled(SCHEDULE, LOCK)


if __name__ == "__main__":
    run_command(main)
