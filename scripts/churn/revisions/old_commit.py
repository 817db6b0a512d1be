"""Check out an older commit in its own folder: its code, its raw data, and its stages run again.

The clone has its own cache and uses this repository's cache only as a remote to pull from, so nothing that runs there
can change this repository's data.
"""

import os
import subprocess
import sys
from pathlib import Path

from churn.base.command import UserError
from churn.base.git import read_git, run_git

# A name that none of the user's remotes has.
CACHE_REMOTE = "cache-of-the-repository"


def clone_commit(commit: str, target: Path) -> Path:
    """Clone this repository into `target`, check the commit out, and return the project's folder in the clone.

    The project may be a subfolder of the repository.

    Raises
    ------
    UserError
        When this clone does not have the commit, or the commit does not have the project there.
    """
    if run_git("cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise UserError(
            f"This clone does not have commit {commit}. Fetch its branch (git fetch --all; git fetch --unshallow for a "
            "shallow clone). A commit that was amended and never pushed cannot be restored."
        )
    read_git("clone", "--quiet", "--shared", "--no-checkout", read_git("rev-parse", "--show-toplevel"), str(target))
    read_git("-C", str(target), "checkout", "--quiet", "--detach", commit)
    prefix = read_git("rev-parse", "--show-prefix")
    if not (target / prefix / "dvc.yaml").exists():
        raise UserError(f"Commit {commit} has no project in {prefix or 'its top folder'}: dvc.yaml is missing there.")
    return target / prefix


def pull_raw(project: Path, pointers: list[str], log: Path) -> list[str]:
    """Pull the pointers' data from this repository's cache, then from its remotes; return the remotes' names."""
    remotes = _connect_remotes(project)
    for remote in (CACHE_REMOTE, *remotes):
        if run_dvc(project, ["pull", "--remote", remote, *pointers], log) == 0:
            break
    return remotes


def _connect_remotes(project: Path) -> list[str]:
    from dvc.repo import Repo

    with Repo() as here, Repo(str(project)) as there:
        remotes = list(here.config["remote"])
        cache = Path(here.cache.local_cache_dir)
        with there.config.edit("local") as config:
            config["cache"] = {"dir": str(project / ".dvc" / "cache")}
            # As in this folder: relative paths are resolved here, and the keys are in a file that is not in git.
            config["remote"] = here.config["remote"] | {CACHE_REMOTE: {"url": str(cache)}}
    return remotes


def run_dvc(project: Path, arguments: list[str], log: Path) -> int:
    """Run DVC in the clone's project with this Python, append its output to the log, and return the exit code."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # DVC's state of the folder is removed with the folder.
        "DVC_SITE_CACHE_DIR": str(project / ".dvc" / "site"),
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as lines:
        command = [sys.executable, "-m", "dvc", *arguments]
        return subprocess.run(
            command, cwd=project, env=environment, stdout=lines, stderr=subprocess.STDOUT, check=False
        ).returncode
