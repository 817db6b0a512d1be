"""Which branch promotes: an experiment on another branch must not reach Production."""

from pathlib import Path

from churn.base.git import run_git

ANY, AUTO = "any", "auto"
USUAL = ("main", "master")


def explain_other_branch(setting: str) -> str:
    """Return why the branch that is checked out does not promote, "" if it does.

    Parameters
    ----------
    setting : str
        release.branch of params.yaml: a branch; any; or auto, the remote's default branch as this clone knows it, and
        any branch without a remote.
    """
    if setting == ANY:
        return ""
    answer = run_git("rev-parse", "--git-dir")
    # A folder that is no repository has no branches; one that git refuses to read may have any.
    if answer.returncode and Path(".git").exists():
        return f"git cannot say which branch this is ({' '.join(answer.stderr.split())})"
    remote = _find_remote()
    wanted = _default_branch(remote) if setting == AUTO else setting
    if wanted == ANY:
        return ""
    if not wanted:
        return (
            f"which branch of the remote {remote} is its default is not known here. Run git remote set-head {remote} "
            "--auto, or name the branch that promotes: release.branch in params.yaml"
        )
    here = run_git("symbolic-ref", "--quiet", "HEAD").stdout.strip().removeprefix("refs/heads/")
    # A CI checkout may be at the newest commit of a branch without being on it.
    newest = {_commit(f"refs/heads/{wanted}"), _commit(f"refs/remotes/{remote}/{wanted}")}
    if here == wanted or (not here and _commit("HEAD") in newest - {""}):
        return ""
    where = f"this is {here}" if here else "no branch is checked out"
    return f"only the branch {wanted} promotes (release.branch in params.yaml), and {where}"


def _find_remote() -> str:
    remotes = run_git("remote").stdout.split()
    return "origin" if "origin" in remotes else next(iter(remotes), "")


def _default_branch(remote: str) -> str:
    """Return a remote's default branch, any if there is no remote or nothing was fetched, "" if it is not known."""
    head = run_git("symbolic-ref", "--quiet", f"refs/remotes/{remote}/HEAD").stdout.strip()
    if remote and head:
        return head.removeprefix(f"refs/remotes/{remote}/")
    if not remote or not run_git("for-each-ref", "refs/remotes").stdout.strip():
        return ANY
    # A clone of one branch, a CI checkout, or a remote added by hand: git has not recorded the default.
    return next((name for name in USUAL if _commit(f"refs/remotes/{remote}/{name}")), "")


def _commit(name: str) -> str:
    return run_git("rev-parse", "--verify", "--quiet", name).stdout.strip()
