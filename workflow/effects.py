"""Effects: steps that act on the world outside (a registry, a store of reports), which DVC does not know.

An effect leaves a receipt when it succeeds: the content of what it used and the settings under which it ran. It is
stale while today's differ from them.

    python workflow/effects.py NAME COMMAND ...     runs the command of an effect, then keeps its receipt
"""

import fcntl
import hashlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

from steps import STATE, read_plan
from why import print_reasons

RECEIPTS = STATE / "receipts"
LOCK = Path("dvc.lock")
DVC_LOCK = Path(".dvc/tmp/lock")


def receipt_of(uses: list[str], settings: dict[str, str]) -> dict[str, str]:
    """Return what an effect rests on today: the content hash of each path that it uses, and its settings."""
    return {path: content_hash(path) for path in uses} | settings


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
    """Return DVC's hash of a stage's output, the content's own of any other file, "" when there is none."""
    if path in locked_hashes():
        return locked_hashes()[path]
    return hashlib.md5(Path(path).read_bytes()).hexdigest() if Path(path).is_file() else ""


@cache
def locked_hashes() -> dict[str, str]:
    """Return the hash of every stage's output in dvc.lock, by path."""
    import yaml

    if not LOCK.exists():
        return {}
    with DVC_LOCK.open("a") as lock:
        # A stage may end this moment, and DVC writes dvc.lock in place: half a file would be read.
        fcntl.flock(lock, fcntl.LOCK_SH)
        text = LOCK.read_text()
    stages = (yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}).get("stages", {})
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def run_effect(name: str, command: list[str]) -> int:
    """Run an effect's command; when it succeeds, keep the receipt; return the exit code."""
    print_reasons(name)
    code = subprocess.run(command, check=False).returncode
    if code == 0:
        step = next(step for step in read_plan() if step.name == name)
        RECEIPTS.mkdir(parents=True, exist_ok=True)
        (RECEIPTS / f"{name}.json").write_text(json.dumps(receipt_of(step.deps, step.settings), indent=2))
    return code


if __name__ == "__main__":
    sys.exit(run_effect(sys.argv[1], sys.argv[2:]))
