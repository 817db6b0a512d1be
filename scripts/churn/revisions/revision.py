"""What a revision holds, or the working tree: the files of git, and by DVC the outputs that it keeps."""

import json
from pathlib import PurePosixPath

import yaml

from churn.base.command import UserError
from churn.base.git import run_git

CODE = ("scripts", "workflow", "Snakefile", "dvc.yaml", "requirements.lock")
DATA = ("data/drops.yaml", "data/raw", "params.yaml", "dvc.lock", "metrics")
WORKING_TREE = "the working tree"


class MissingOutputError(Exception):
    """An output that a revision made, and that is not here; the message says which and how to get it."""


class Revision:
    """A commit, or the working tree on it; made by `open_revision`.

    Attributes
    ----------
    name : str
        As the user gave it, a full hash cut to seven digits.
    commit : str
        Its hash, of a working tree that of HEAD.
    is_tree : bool
        Whether it is the working tree.
    """

    def __init__(self, name: str, commit: str, *, is_tree: bool):
        from dvc.api import DVCFileSystem

        self.name, self.commit, self.is_tree = name, commit, is_tree
        self._files = DVCFileSystem(rev=None if is_tree else commit)
        self._missing: dict[str, MissingOutputError] = {}

    def read_text(self, path: str) -> str | None:
        """Return a file that git has, None when the revision lacks it."""
        try:
            return self._files.read_text(path, encoding="utf-8")
        except FileNotFoundError:
            return None

    def read_json(self, path: str) -> dict:
        """Return a JSON file that git has, empty when the revision lacks it."""
        return json.loads(self.read_text(path) or "{}")

    def read_yaml(self, path: str) -> dict:
        """Return a YAML file that git has, empty when the revision lacks it."""
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return yaml.load(self.read_text(path) or "{}", loader) or {}

    def read_output(self, output: str, suffix: str) -> dict[str, bytes]:
        """Return the files of an output that DVC keeps, by their names below it.

        Parameters
        ----------
        output : str
            A file or a folder that a stage made.
        suffix : str
            How the names end.

        Raises
        ------
        MissingOutputError
            When neither the folder itself, nor DVC's cache, nor a remote has it.
        """
        # A server that is gone is asked once.
        if output in self._missing:
            raise self._missing[output]
        try:
            paths = sorted(path for path in self._files.find(output) if path.endswith(suffix))
            found = {str(PurePosixPath(path).relative_to(output)): self._files.read_bytes(path) for path in paths}
        # DVC lets through what its index, its cache and every kind of remote may raise.
        except Exception as error:
            found, said = {}, f" ({error})"
        else:
            said = ""
        if not found:
            self._missing[output] = MissingOutputError(
                f"{output} of {self.name} is not here, neither in DVC's cache nor on a remote{said}. Get it with: make "
                f"pull; or, where {self.name} was made: make push"
            )
            raise self._missing[output]
        return found

    def list_uncommitted(self) -> list[str]:
        """Return the files that are changed and not committed, and that count in a comparison."""
        return git("status", "--porcelain", "--", *CODE, *DATA).splitlines() if self.is_tree else []

    def list_stale(self) -> list[str]:
        """Return the stages of the working tree whose outputs are older than their code, parameters or data."""
        if not self.is_tree:
            return []
        from dvc.lock import LockError
        from dvc.repo import Repo

        try:
            with Repo() as repo:
                status = repo.status(check_updates=False)
        except LockError:
            raise UserError("DVC is busy in this repository. Wait until the run is done, then compare.") from None
        return sorted({name.partition("@")[0] for name, changes in status.items() if any(map(_is_change, changes))})


def open_revision(name: str | None) -> Revision:
    """Open a revision (a branch, a tag, a commit or the name of a DVC experiment), or for None the working tree.

    Raises
    ------
    UserError
        When git does not know it, or it has no results to compare.
    """
    commit = resolve(name or "HEAD")
    title = name if name and not commit.startswith(name) else commit[:7]
    revision = Revision(title if name else WORKING_TREE, commit, is_tree=name is None)
    for path in "dvc.lock", "metrics/train_model.json":
        if revision.read_text(path) is None:
            todo = "Run the pipeline first: make run" if name is None else "Name a revision after a run was committed"
            raise UserError(f"{revision.name} has no {path}, so there are no results of it to compare. {todo}.")
    return revision


def resolve(name: str) -> str:
    """Return the commit that a name stands for; raise `UserError` for one that git and DVC do not know."""
    from dvc.repo import Repo
    from dvc.scm import RevError, SCMError, resolve_rev

    try:
        with Repo() as repo:
            return resolve_rev(repo.scm, name)
    except (RevError, SCMError):
        branches = git("branch", "--all", "--format=%(refname:short)").split()
        raise UserError(
            f"{name!r} is no branch, tag, commit or DVC experiment of this clone. Its branches: {', '.join(branches)}. "
            "Fetch what is missing: git fetch origin; git fetch --unshallow for a shallow clone."
        ) from None


def git(*arguments: str) -> str:
    """Return what git prints; it must succeed."""
    answer = run_git(*arguments)
    answer.check_returncode()
    return answer.stdout.rstrip("\n")


def _is_change(change: str | dict) -> bool:
    """Tell a change from what is merely not here, as in a clone before `dvc pull`."""
    if isinstance(change, str):
        return True
    return any(state not in ("deleted", "not in cache") for states in change.values() for state in states.values())
