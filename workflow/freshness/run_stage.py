"""The command of a job that runs a stage of dvc.yaml, or brings a pointer (a `.dvc` file) up to date.

python workflow/run_stage.py NAME
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from .ask_dvc import remove_dead_rwlock
from .state import stamp, write_whole
from .steps import planned
from .why import print_reasons


def run_stage(name: str) -> int:
    """Bring a stage or pointer up to date by DVC, in a job of its own; return the exit code.

    When DVC is killed, whatever it had started dies with it.
    """
    print_reasons(name)
    step = planned(name)
    job = [sys.executable, "-m", f"{__package__}.dvc_job", name]
    process = subprocess.Popen([*job, *(["--force"] if step and step.forced else [])], start_new_session=True)
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, lambda received, _: os.killpg(process.pid, received))
    code = process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if code < 0:
        remove_dead_rwlock()
    if code == 0 and step and not step.outs:
        write_whole(Path(stamp(name)), "")
    return code if code >= 0 else 128 - code
