"""DVC inside a job: bring one stage or pointer up to date, and record whether the stage had to run.

Many such jobs run at once, each for a short time, so this waits for DVC's locks in shorter steps than DVC does.

    python -m workflow.freshness.dvc_job NAME [--force]
"""

import gc
import io
import sys
import time
from pathlib import Path
from typing import Any

import dvc.lock
import dvc.stage.run
from dvc.cli import main
from dvc.utils.serialize import _common, _yaml

from .state import OUTCOMES, exit_with, file_name, write_whole

POLL_SECONDS, GUARD_SECONDS = 0.05, 3


def take_lock(lock: Any) -> Any:
    """Wait for DVC's lock as DVC does, but look every 50 ms instead of every half second."""
    deadline = time.monotonic() + GUARD_SECONDS
    while True:
        try:
            return lock._do_lock()
        except dvc.lock.LockError:
            if not lock._wait and time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def dump_whole(path: Any, data: Any, dumper: Any, fs: Any = None, **options: Any) -> None:
    """Write dvc.lock in one step: DVC writes in place, and leaves half a file when killed or when the disk is full."""
    text = io.StringIO()
    dumper(data, text, **options)
    write_whole(Path(path), text.getvalue())


def bring_up_to_date(name: str, force: bool) -> int:
    """Run `dvc repro --single-item`, or `dvc commit` for a pointer; return DVC's exit code."""
    run_command, ran = dvc.stage.run.cmd_run, []

    def run_and_record(*args: Any, **options: Any) -> Any:
        ran.append(name)
        return run_command(*args, **options)

    gc.disable()  # the job ends too soon for garbage collection to pay off
    dvc.lock.Lock.lock = take_lock
    _common._dump_data = dump_whole
    # dvc.lock has no comments to preserve: the parser that ignores them is six times as fast.
    _yaml.parse_yaml_for_update = _yaml.parse_yaml
    dvc.stage.run.cmd_run = run_and_record
    command = ["repro", "--single-item", *(["--force"] if force else []), name]
    if name.endswith(".dvc"):
        # `repro` and `add` may move the data away and link it back from the cache; this never does.
        command = ["commit", "--force", "--no-relink", name]
    code = int(main(["--wait-for-lock", *command]))
    if code == 0:
        write_whole(OUTCOMES / file_name(name), "ran" if ran else "known")
    return code


if __name__ == "__main__":
    exit_with(lambda: bring_up_to_date(sys.argv[1], "--force" in sys.argv[2:]))
