"""Read the files and the DVC outputs of a revision or of the working tree."""

import json
from pathlib import PurePosixPath
from typing import Any

import yaml

from churn.base.command import UserError
from churn.base.git import read_git

CODE = ("scripts", "workflow", "Snakefile", "dvc.yaml", "requirements.lock")
DATA = ("data/drops.yaml", "data/raw", "params.yaml", "dvc.lock", "metrics")
WORKING_TREE = "the working tree"


class MissingOutputError(Exception):
    """An output of a revision is missing here; the message says which, and how to get it."""


class Revision:
    """A commit, or the working tree; created by `open_revision`.

    Attributes
    ----------
    name : str
        The name that the user gave; a full hash is cut to seven digits.
    commit : str
        Its hash; for the working tree that of HEAD.
    is_tree : bool
        Whether it is the working tree.
    """

    def __init__(self, name: str, commit: str, *, is_tree: bool) -> None:
        from dvc.api import DVCFileSystem

        self.name, self.commit, self.is_tree = name, commit, is_tree
        # Of a commit, DVC opens the whole git repository, in which the project may be a subfolder.
        self._folder = "" if is_tree else read_git("rev-parse", "--show-prefix")
        self._files = DVCFileSystem(rev=None if is_tree else commit, subrepos=bool(self._folder))
        self._missing: dict[str, MissingOutputError] = {}

    def read_text(self, path: str) -> str | None:
        """Return a file tracked by git, None if the revision does not have it."""
        from dvc.exceptions import DvcException

        try:
            return str(self._files.read_text(self._folder + path, encoding="utf-8"))
        except FileNotFoundError:
            return None
        except DvcException as error:
            reason = " ".join(str(error).split())
            raise UserError(f"DVC cannot read {self.name}: {reason}. Name another revision.") from None

    def read_json(self, path: str) -> dict[str, Any]:
        """Return a JSON file tracked by git, {} if the revision does not have it."""
        content: dict[str, Any] = json.loads(self.read_text(path) or "{}")
        return content

    def read_yaml(self, path: str) -> dict[str, Any]:
        """Return a YAML file tracked by git, {} if the revision does not have it."""
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return yaml.load(self.read_text(path) or "{}", loader) or {}

    def read_output(self, output: str, suffix: str) -> dict[str, bytes]:
        """Return the files of an output kept by DVC, by their paths within it.

        Parameters
        ----------
        output : str
            A file or folder written by a stage.
        suffix : str
            The end of the names to return.

        Raises
        ------
        MissingOutputError
            When it is neither in this folder, nor in DVC's cache, nor on a remote.
        """
        # A server that does not answer is asked once.
        if output in self._missing:
            raise self._missing[output]
        try:
            paths = sorted(path for path in self._files.find(self._folder + output) if path.endswith(suffix))
            found = {
                str(PurePosixPath(path).relative_to(self._folder + output)): self._files.read_bytes(path)
                for path in paths
            }
        # DVC passes on any error of its index, its cache and each kind of remote.
        except Exception as error:
            found, reason = {}, f" ({error})"
        else:
            reason = ""
        if not found:
            self._missing[output] = MissingOutputError(
                f"{output} of {self.name} is not here, neither in DVC's cache nor on a remote{reason}. Run make "
                f"pull; if it is still missing, run make push where {self.name} was made, then make pull here"
            )
            raise self._missing[output]
        return found

    def list_uncommitted(self) -> list[str]:
        """Return the files of a comparison that have uncommitted changes."""
        if not self.is_tree:
            return []
        changed = read_git("diff", "--name-only", "--no-renames", "--relative", "HEAD", "--", *CODE, *DATA)
        new = read_git("ls-files", "--others", "--exclude-standard", "--", *CODE, *DATA)
        return sorted({*changed.splitlines(), *new.splitlines()})

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
            raise UserError("DVC is busy in this repository. Wait for the run to finish, then compare.") from None
        return sorted({name.partition("@")[0] for name, changes in status.items() if any(map(_is_change, changes))})


def open_revision(name: str | None) -> Revision:
    """Open a revision (a branch, a tag, a commit or a DVC experiment), or the working tree for None.

    Raises
    ------
    UserError
        When git and DVC do not know it, or it has no results to compare.
    """
    commit = resolve(name or "HEAD")
    title = name if name and not commit.startswith(name) else commit[:7]
    revision = Revision(title if name else WORKING_TREE, commit, is_tree=name is None)
    for path in "dvc.lock", "metrics/train_model.json":
        if revision.read_text(path) is None:
            todo = "Run the pipeline first: make run" if name is None else "Name a revision after a run was committed"
            raise UserError(f"{revision.name} has no {path}, so it has no results to compare. {todo}.")
    return revision


def resolve(name: str) -> str:
    """Return the commit of a name; raise `UserError` if git and DVC do not know it."""
    from dvc.repo import Repo
    from dvc.scm import RevError, SCMError, resolve_rev

    try:
        with Repo() as repo:
            return str(resolve_rev(repo.scm, name))
    except (RevError, SCMError):
        branches = read_git("branch", "--all", "--format=%(refname:short)").split()
        raise UserError(
            f"{name!r} is not a branch, tag, commit or DVC experiment of this clone. Its branches: "
            f"{', '.join(branches)}. If it is missing: git fetch origin; git fetch --unshallow for a shallow clone."
        ) from None


def _is_change(change: str | dict[str, Any]) -> bool:
    """Return whether DVC reports a change, and not just a missing file, as in a clone before `dvc pull`."""
    if isinstance(change, str):
        return True
    return any(state not in ("deleted", "not in cache") for states in change.values() for state in states.values())
