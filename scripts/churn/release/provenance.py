"""Where a candidate or an entry of the ledger comes from: the user, the git commit, DVC's lock file, the raw files."""

import getpass
import hashlib
import os
import socket
from pathlib import Path
from typing import Any

import yaml

from churn.base.command import UserError
from churn.base.git import run_git

LOCK = Path("dvc.lock")


def output_digest(output: str, lock: Path = LOCK) -> str:
    """Return DVC's hash of a stage's output, from a lock file.

    Raises
    ------
    UserError
        When dvc.lock is missing or does not have the output.
    """
    for stage in _stages(lock):
        for out in stage.get("outs", []):
            if out["path"] == output:
                return str(out["md5"])
    raise UserError(f"{lock} has no hash of {output}. Run the stages first: dvc repro")


def collect_tags() -> dict[str, str]:
    """Return the tags of a run: commit, whether the tree was dirty, hashes of dvc.lock and of each raw file."""
    # Without the files that the run itself has just written; outside of git nothing is printed.
    changed = run_git("status", "--porcelain", "--", ".", ":!dvc.lock", ":!metrics").stdout
    return {
        "git_commit": current_commit(),
        "git_dirty": str(bool(changed)).lower(),
        "dvc_lock_md5": hashlib.md5(LOCK.read_bytes()).hexdigest(),
        **raw_tags(LOCK),
    }


def raw_tags(lock: Path) -> dict[str, str]:
    """Return the hash of each raw file that a lock file's stages read, as raw/<drop>/<file>."""
    deps = {dep["path"]: dep["md5"] for stage in _stages(lock) for dep in stage["deps"]}
    return {path.replace("data/", "", 1): deps[path] for path in sorted(deps) if path.startswith("data/raw/")}


def current_commit() -> str:
    """Return the commit that is checked out, "none" outside of git."""
    return run_git("rev-parse", "--verify", "--quiet", "HEAD").stdout.strip() or "none"


def current_user() -> str:
    """Return who runs this, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # In a container, the user id may have no name.
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _stages(lock: Path) -> list[dict[str, Any]]:
    if not lock.exists():
        raise UserError(f"{lock} is missing. Run the stages first: dvc repro")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return list(yaml.load(lock.read_text(), loader)["stages"].values())
