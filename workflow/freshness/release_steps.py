"""Release steps: rules that act on the outside world (a registry, a store of reports) and are not DVC stages.

A release step that succeeds leaves a receipt: the content of what it used, and the settings under which it ran. It is
stale while today's content or settings differ from the receipt.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .folders import Listing, changed_files, file_hash, folder_hash, list_folder, short
from .listings import read_listing
from .lock_blocks import read_blocks
from .state import DVC_LOCK, RECEIPTS, RELEASE_LOCKS, file_name, outcome_file, write_whole
from .state import command as own_command
from .steps import DEFINITION, Makers, Step, read_plan

# A hash for a file or for what a stage made, the hash of each file for any other folder, the text of a setting.
WAIT, POLL_SECONDS = 60, 0.05
Receipt = dict[str, str | Listing]


def make_receipt(uses: list[str], settings: dict[str, str], recorded: dict[str, str]) -> Receipt:
    """Return what a release step depends on: the content of each file and folder that it uses, and its settings.

    What stages made has the hash that DVC recorded; other files are read. A missing file has the hash "".
    """
    return {path: _content(path, recorded) for path in uses} | settings


def read_receipt(name: str) -> Receipt:
    """Return the receipt of the step's last success; empty if it never succeeded here, or the receipt is damaged."""
    path = RECEIPTS / f"{name}.json"
    try:
        receipt: Receipt = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return receipt


def receipt_hashes() -> set[str]:
    """Return every hash in the receipts: the listings of those that are folders are still needed."""
    receipts = [read_receipt(path.stem) for path in RECEIPTS.glob("*.json")]
    return {value for receipt in receipts for value in receipt.values() if isinstance(value, str)}


def changes(today: Receipt, then: Receipt, settings: dict[str, str]) -> list[str]:
    """Return a line for each setting and each file that differs from the receipt."""
    if not then:
        return ["never run here"]
    lines = []
    for key, value in today.items():
        old = then.get(key)
        if old == value:
            continue
        if key in settings:
            lines.append(f"{key}: {old!r} -> {value!r}")
            continue
        before, now = _files(old), _files(value)
        files = changed_files(key, before, now) if before is not None and now is not None else []
        lines += files or [f"{key}: {_digest(old)} -> {_digest(value)}"]
    return lines


def recorded_hashes(uses: list[str], plan: dict[str, Step]) -> dict[str, str]:
    """Return the hash that dvc.lock has for each output of a stage that a release step uses, by path."""
    makers = Makers(plan.values())
    names: dict[str, set[str]] = defaultdict(set)
    for path in uses:
        for maker in makers.of(path):
            if maker.kind == "stage":
                names[maker.lock_file].add(DEFINITION.sub("", maker.name))
    return {out: digest for path, stages in names.items() for out, digest in _recorded_outs(Path(path), stages).items()}


def run_release_step(name: str, command: list[str]) -> int:
    """Run a release step's command and, if it succeeds, write the receipt; return the exit code."""
    plan = read_plan()
    step = plan.get(name)
    if not step:
        print(
            f"ERROR: unknown release step {name!r}: the last `snakemake` in this folder did not define it",
            file=sys.stderr,
        )
        return 1
    RELEASE_LOCKS.mkdir(parents=True, exist_ok=True)
    with (RELEASE_LOCKS / file_name(name)).open("w") as lock:
        # The command inherits the lock: if Snakemake is killed, the command lives on, and the next run waits for it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        print(step.log_head, end="", flush=True)
        if step.pulls and (failed := subprocess.run(own_command("pull", *step.pulls), check=False).returncode):
            return failed
        # Read before the command runs: what is edited meanwhile must make the step stale.
        receipt = make_receipt(step.deps, step.settings, recorded_hashes(step.deps, plan))
        code = subprocess.run(command, check=False, pass_fds=[lock.fileno()]).returncode
    if code == 0:
        write_whole(RECEIPTS / f"{name}.json", json.dumps(receipt, indent=2))
        write_whole(outcome_file(name), "ran")
    return code


def _recorded_outs(path: Path, names: set[str]) -> dict[str, str]:
    """Return the hash of each output of these stages of a dvc.lock, by path."""
    import yaml

    with reading_dvc_lock():
        blocks = read_blocks(path)
        text = "".join(blocks.stages.get(name, "") for name in names) if blocks else path.read_text(encoding="utf-8")
    known = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    stages = known if blocks else known.get("stages", {})
    return {
        os.path.normpath(path.parent / out["path"]): recorded
        for name in names & stages.keys()
        for out in stages[name].get("outs", [])
        if (recorded := _recorded(out))
    }


@contextlib.contextmanager
def reading_dvc_lock() -> Iterator[None]:
    """Hold DVC's lock: `dvc repro` may be writing the file in place, and half a file would be read."""
    deadline = time.monotonic() + WAIT
    # A lock by hard links exists while it is held; the other kind stays, and is locked.
    while DVC_LOCK.exists() and DVC_LOCK.stat().st_nlink > 1 and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    with contextlib.ExitStack() as held:
        if DVC_LOCK.exists():
            fcntl.flock(held.enter_context(DVC_LOCK.open()), fcntl.LOCK_SH)
        yield


def _recorded(out: dict[str, Any]) -> str:
    """Return the hash that DVC recorded for an output; on a cloud-versioned remote, a folder has one for each file."""
    if "files" in out:
        return folder_hash({file["relpath"]: file["md5"] for file in out["files"]})
    return str(out.get("md5", ""))


def _content(path: str, recorded: dict[str, str]) -> str | Listing:
    if path in recorded:
        return recorded[path]
    return list_folder(path, recorded) if Path(path).is_dir() else file_hash(Path(path))


def _files(value: str | Listing | None) -> Listing | None:
    """Return the files behind a receipt's value; a folder that was missing has none."""
    if isinstance(value, dict):
        return value
    return read_listing(value) if value else {}


def _digest(value: str | Listing | None) -> str:
    return short(folder_hash(value) if isinstance(value, dict) else value)
