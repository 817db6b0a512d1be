"""The job of a rule that runs a stage of dvc.yaml, or updates a pointer (a `.dvc` file)."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from .ask_dvc import remove_dead_rwlock
from .state import stamp, write_whole
from .steps import planned
from .why import print_reasons


def run_stage(name: str) -> int:
    """Bring a stage or pointer up to date with DVC, in a session of its own; return the exit code.

    If DVC is killed, stop what it had started: an orphan stage would go on writing.
    """
    print_reasons(name)
    step = planned(name)
    job = [sys.executable, "-m", f"{__package__}.dvc_job", name]
    process = subprocess.Popen([*job, *(["--force"] if step and step.forced else [])], start_new_session=True)

    def pass_on(number: int, _: FrameType | None) -> None:
        os.killpg(process.pid, number)

    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, pass_on)
    code = process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if code < 0:
        remove_dead_rwlock()
    if code == 0 and step and not step.outs:
        write_whole(Path(stamp(name)), "")
    return code if code >= 0 else 128 - code
