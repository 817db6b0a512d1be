"""Effects: steps that act on the world outside (a registry, a store of reports), which DVC does not know.

An effect leaves a receipt when it succeeds: the content of what it used and the settings under which it ran. It is
stale while today's differ from them.

    python workflow/effects.py NAME COMMAND ...     runs the command of an effect, then keeps its receipt
"""

import fcntl
import hashlib
import json
import os
import subprocess
from pathlib import Path

from .state import DVC_LOCK, RECEIPTS, RELEASE_LOCKS, file_name, write_whole
from .steps import Step, planned, read_plan
from .why import print_reasons


def receipt_of(uses: list[str], settings: dict[str, str], locked: dict[str, str]) -> dict[str, str]:
    """Return what an effect rests on: the content hash of each path that it uses (DVC's where it has one), settings."""
    return {path: locked.get(path) or content_hash(path) for path in uses} | settings


def read_receipt(name: str) -> dict[str, str]:
    """Return what the effect rested on when it last succeeded; empty when it never did."""
    path = RECEIPTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def differing(today: dict[str, str], then: dict[str, str]) -> list[str]:
    """Return a line for each thing that differs."""
    if not then:
        return ["never run here"]
    return [f"{key}: {then.get(key)!r} -> {value!r}" for key, value in today.items() if then.get(key) != value]


def content_hash(path: str) -> str:
    """Return the hash of a file that no stage made, "" when there is none."""
    return hashlib.md5(Path(path).read_bytes()).hexdigest() if Path(path).is_file() else ""


def locked_hashes(steps: list[Step]) -> dict[str, str]:
    """Return the hash of every stage's output in the repository's dvc.lock files, by path."""
    import yaml

    hashes = {}
    for path in {Path(step.lock_file) for step in steps if step.kind == "stage"}:
        if path.exists():
            with DVC_LOCK.open("a") as lock:
                # `dvc repro` may write it this moment, in place: half a file would be read.
                fcntl.flock(lock, fcntl.LOCK_SH)
                text = path.read_text(encoding="utf-8")
            stages = (yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}).get("stages", {})
            outs = [out for stage in stages.values() for out in stage.get("outs", [])]
            hashes |= {os.path.normpath(path.parent / out["path"]): out["md5"] for out in outs}
    return hashes


def run_release_step(name: str, command: list[str]) -> int:
    """Run an effect's command; when it succeeds, keep the receipt; return the exit code."""
    RELEASE_LOCKS.mkdir(parents=True, exist_ok=True)
    with (RELEASE_LOCKS / file_name(name)).open("w") as lock:
        # The command has the lock too: when Snakemake is killed, it may act on until the next run wants to.
        fcntl.flock(lock, fcntl.LOCK_EX)
        print_reasons(name)
        code = subprocess.run(command, check=False, pass_fds=[lock.fileno()]).returncode
    if code == 0:
        step = planned(name)
        receipt = receipt_of(step.deps, step.settings, locked_hashes(read_plan()))
        write_whole(RECEIPTS / f"{name}.json", json.dumps(receipt, indent=2))
    return code
