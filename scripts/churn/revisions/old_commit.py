"""An older commit in a folder of its own: its code, its raw data, and its stages run again.

The clone has a cache of its own, and this repository's cache is to it a remote to pull from: nothing that runs there
can change what this repository keeps.
"""

import os
import subprocess
import sys
from pathlib import Path

from churn.base.command import UserError
from churn.base.git import run_git

# A name that no remote of the user's has.
CACHE_REMOTE = "cache-of-the-repository"


def clone_commit(commit: str, target: Path) -> None:
    """Clone this repository into `target` and check the commit out.

    Raises
    ------
    UserError
        When this clone does not have the commit.
    """
    if run_git("cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise UserError(
            f"This clone does not have commit {commit}. Fetch the branch that it is on (git fetch --all; git fetch "
            "--unshallow for a shallow clone). A commit that was amended away and never pushed cannot come back."
        )
    for arguments in (
        ("clone", "--quiet", "--shared", "--no-checkout", ".", str(target)),
        ("-C", str(target), "checkout", "--quiet", "--detach", commit),
    ):
        done = run_git(*arguments)
        if done.returncode:
            raise UserError(f"git {' '.join(arguments)} failed: {done.stderr.strip()}")


def pull_raw(clone: Path, pointers: list[str], log: Path) -> list[str]:
    """Pull what pointers point at, from this repository's cache, then from its remotes; return the remotes' names."""
    remotes = _connect_remotes(clone)
    for remote in (CACHE_REMOTE, *remotes):
        if run_dvc(clone, ["pull", "--remote", remote, *pointers], log) == 0:
            break
    return remotes


def _connect_remotes(clone: Path) -> list[str]:
    from dvc.repo import Repo

    with Repo() as here, Repo(str(clone)) as there:
        remotes = list(here.config["remote"])
        cache = Path(here.cache.local_cache_dir)
        with there.config.edit("local") as config:
            config["cache"] = {"dir": str(clone / ".dvc" / "cache")}
            # As they are here: the paths in them count from here, and the keys are in a file that git does not have.
            config["remote"] = here.config["remote"] | {CACHE_REMOTE: {"url": str(cache)}}
    return remotes


def run_dvc(clone: Path, arguments: list[str], log: Path) -> int:
    """Run DVC in the clone, with this Python, and add what it says to the log; return the exit code."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # What DVC remembers of a folder goes with the folder.
        "DVC_SITE_CACHE_DIR": str(clone / ".dvc" / "site"),
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as lines:
        command = [sys.executable, "-m", "dvc", *arguments]
        return subprocess.run(
            command, cwd=clone, env=environment, stdout=lines, stderr=subprocess.STDOUT, check=False
        ).returncode
