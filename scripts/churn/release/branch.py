"""Which branch promotes: an experiment on another branch must not reach Production."""

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
    remote = _find_remote()
    wanted = _default_branch(remote) if setting == AUTO else setting
    if wanted == ANY:
        return ""
    here = run_git("symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip()
    # A CI checkout may be at the newest commit of a branch without being on it.
    if here == wanted or (not here and _commit("HEAD") == _commit(f"refs/remotes/{remote}/{wanted}")):
        return ""
    where = f"this is {here}" if here else "no branch is checked out"
    return f"only the branch {wanted} promotes (release.branch in params.yaml), and {where}"


def _find_remote() -> str:
    remotes = run_git("remote").stdout.split()
    return "origin" if "origin" in remotes else next(iter(remotes), "")


def _default_branch(remote: str) -> str:
    """Return a remote's default branch as this clone knows it; any if there is no remote, or nothing was fetched."""
    if not remote:
        return ANY
    head = run_git("symbolic-ref", "--quiet", "--short", f"refs/remotes/{remote}/HEAD").stdout.strip()
    if head:
        return head.removeprefix(f"{remote}/")
    # A remote that was added by hand: git has not recorded its default.
    known = run_git("for-each-ref", "--format=%(refname:lstrip=3)", f"refs/remotes/{remote}").stdout.split()
    return next((name for name in (*USUAL, *known) if name in known), ANY)


def _commit(name: str) -> str:
    return run_git("rev-parse", "--verify", "--quiet", name).stdout.strip() or name
