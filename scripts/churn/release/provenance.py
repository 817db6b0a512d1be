"""Where a candidate comes from: the git commit, DVC's lock file and the raw files, as tags."""

import hashlib
from pathlib import Path

import yaml

from churn.base.command import UserError
from churn.base.git import run_git

LOCK = Path("dvc.lock")


def output_digest(output: str, lock: Path = LOCK) -> str:
    """Return DVC's hash of a stage's output, as a lock file has it.

    Raises
    ------
    UserError
        When dvc.lock is missing or does not know the output.
    """
    for stage in _stages(lock):
        for out in stage.get("outs", []):
            if out["path"] == output:
                return out["md5"]
    raise UserError(f"{lock} does not know {output}. Run the stages first: dvc repro")


def collect_tags() -> dict[str, str]:
    """Return the tags of a run: commit, whether the tree was dirty, hashes of dvc.lock and of each raw file."""
    return {
        "git_commit": current_commit(),
        # But for what the run itself has just written.
        "git_dirty": str(bool(_git("status", "--porcelain", "--", ".", ":!dvc.lock", ":!metrics"))).lower(),
        "dvc_lock_md5": hashlib.md5(LOCK.read_bytes()).hexdigest(),
        **raw_tags(LOCK),
    }


def raw_tags(lock: Path) -> dict[str, str]:
    """Return the hash of each raw file that a lock file's stages read, as raw/<drop>/<file>."""
    deps = {dep["path"]: dep["md5"] for stage in _stages(lock) for dep in stage["deps"]}
    return {path.replace("data/", "", 1): deps[path] for path in sorted(deps) if path.startswith("data/raw/")}


def current_commit() -> str:
    """Return the commit that is checked out, "none" outside of git."""
    return _git("rev-parse", "HEAD") or "none"


def _stages(lock: Path) -> list[dict]:
    if not lock.exists():
        raise UserError(f"{lock} is missing. Run the stages first: dvc repro")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return list(yaml.load(lock.read_text(), loader)["stages"].values())


def _git(*arguments: str) -> str:
    answer = run_git(*arguments)
    return answer.stdout.strip() if answer.returncode == 0 else ""
