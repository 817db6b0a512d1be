"""Where a candidate comes from: the git commit, DVC's lock file and the raw files, as tags."""

import hashlib
import subprocess
from pathlib import Path

import yaml

from churn.command import UserError

LOCK = Path("dvc.lock")


def output_digest(output: str) -> str:
    """Return DVC's hash of a stage's output.

    Raises
    ------
    UserError
        When dvc.lock is missing or does not know the output.
    """
    for stage in _stages():
        for out in stage.get("outs", []):
            if out["path"] == output:
                return out["md5"]
    raise UserError(f"{LOCK} does not know {output}. Run the stages first: dvc repro")


def collect_tags() -> dict[str, str]:
    """Return the tags of a run: commit, whether the tree was dirty, hashes of dvc.lock and of each raw file."""
    deps = {dep["path"]: dep["md5"] for stage in _stages() for dep in stage["deps"]}
    return {
        "git_commit": _git("rev-parse", "HEAD") or "none",
        "git_dirty": str(bool(_git("status", "--porcelain"))).lower(),
        "dvc_lock_md5": hashlib.md5(LOCK.read_bytes()).hexdigest(),
        **{path.replace("data/", "", 1): deps[path] for path in sorted(deps) if path.startswith("data/raw/")},
    }


def _stages() -> list[dict]:
    if not LOCK.exists():
        raise UserError(f"{LOCK} is missing. Run the stages first: dvc repro")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return list(yaml.load(LOCK.read_text(), loader)["stages"].values())


def _git(*arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""
