"""Reproduce a registered version: check out its commit and raw data, run its stages again, and compare.

Reads
    the registry, git, DVC's cache and remotes, requirements.lock
Writes
    lines on the terminal, and logs/reproduce/version_<number>.log; everything else in a temporary folder
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from churn.base.command import UserError, run_command
from churn.base.drops import read_drops
from churn.base.reading import read_json
from churn.deliveries.folders import file_md5s, folder_md5, tracked_md5
from churn.release.candidate import CANDIDATE, METRICS
from churn.release.flatten import flatten
from churn.release.names import model_name
from churn.release.provenance import output_digest, raw_tags
from churn.release.registry import DIGEST_TAG, find_versions, open_registry
from churn.revisions.old_commit import clone_commit, pull_raw, run_dvc

LOGS = Path("logs/reproduce")
REQUIREMENTS = Path("requirements.lock")


@dataclass(frozen=True)
class Registered:
    """A version in the registry: its run's metrics and its provenance."""

    version: str
    metrics: dict[str, float]
    tags: dict[str, str]

    @property
    def raw(self) -> dict[str, str]:
        """The MD5 of each raw file, as raw/<drop>/<file>."""
        return {name: md5 for name, md5 in self.tags.items() if name.startswith("raw/")}


def reproduce(version: str, keep: Path | None) -> bool:
    """Run a version's stages again, print the comparison and return whether the metrics are the same.

    Parameters
    ----------
    version : str
        Number of a registered version.
    keep : Path or None
        New folder for the clone, which is kept; None for a temporary folder.

    Raises
    ------
    UserError
        When the version, its commit or its data is missing, its data was never committed, or a stage fails.
    """
    registered = read_registered(version)
    commit = registered.tags["git_commit"]
    log = LOGS / f"version_{version}.log"
    log.unlink(missing_ok=True)
    with open_folder(keep) as folder:
        project = clone_commit(commit, folder)
        drops = [str(drop) for drop in read_drops(project / "data" / "drops.yaml")]
        check_raw(project, drops, registered)
        fetch_raw(project, drops, registered, log)
        print(f"Running the stages of commit {commit[:7]} again, with {len(drops)} drops; log: {log}", flush=True)
        if run_dvc(project, ["repro", "--force", "--no-run-cache", "train_model"], log):
            raise UserError(f"Commit {commit[:7]} does not run here: {last_line(log)}. The whole log: {log}")
        metrics = read_json(project / METRICS / "train_model.json")
        digest = output_digest(str(CANDIDATE), project / "dvc.lock")
        notes = list(read_notes(project, registered))
    reproduced = {name: float(value) for name, value in flatten(metrics).items() if isinstance(value, int | float)}
    then = registered.tags.get(DIGEST_TAG, "-")
    same_metrics, verdict = decide(registered.metrics, reproduced, same_bytes=digest == then)
    digests = (str(CANDIDATE), then[:8], digest[:8])
    print("\n".join([*tabulate(registered.metrics, reproduced, digests), *notes, verdict]))
    return same_metrics


def read_registered(version: str) -> Registered:
    """Return a version from the registry; raise `UserError` if it does not say how it was made."""
    with open_registry() as client:
        known = {str(one.version): one for one in find_versions(client, model_name())}
        if version not in known:
            others = f"it has {', '.join(known)}" if known else "it has no versions"
            raise UserError(f"{model_name()} has no version {version!r}; {others}. Try: make reproduce VERSION=1")
        run_id = known[version].run_id
        data = client.get_run(run_id).data if run_id else None
    if data is None or data.tags.get("git_commit", "none") == "none":
        raise UserError(
            f"Version {version} of {model_name()} does not name the commit that it was made from. Only versions that "
            "register_candidate registered in a git repository can be reproduced."
        )
    return Registered(version, data.metrics, data.tags)


@contextmanager
def open_folder(keep: Path | None) -> Iterator[Path]:
    """Yield a new folder: the one to keep, or a temporary one."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="reproduce-") as folder:
            yield Path(folder).resolve() / "repository"
    elif keep.exists():
        raise UserError(f"{keep} exists already. Name a new folder for the clone.")
    else:
        yield keep.absolute()


def check_raw(project: Path, drops: list[str], registered: Registered) -> None:
    """Raise `UserError` if the commit does not have the raw files that the version was made from."""
    lock = project / "dvc.lock"
    committed = raw_tags(lock) if lock.exists() else {}
    wrong = []
    for drop in sorted({*drops, *(name.split("/")[1] for name in registered.raw)}):
        files = {name: md5 for name, md5 in registered.raw.items() if name.split("/")[1] == drop}
        if tracked_md5(project / "data" / "raw" / drop) == folder_md5({Path(name).name: files[name] for name in files}):
            continue
        if changed := [name for name in files if committed.get(name) != files[name]]:
            wrong += changed
        elif drop in drops:
            wrong += list(files) or [f"raw/{drop}"]
    if wrong:
        raise UserError(
            f"Version {registered.version} was made from raw files that its commit {registered.tags['git_commit'][:7]} "
            f"does not have: {', '.join(f'data/{name}' for name in wrong)}. That data was never committed, so the "
            "version cannot be reproduced. Before the next run: git add data/raw/*.dvc data/drops.yaml && git commit"
        )


def fetch_raw(project: Path, drops: list[str], registered: Registered, log: Path) -> None:
    """Get the raw files, but no outputs of stages; check them, as DVC does not notice a damaged cache."""
    remotes = pull_raw(project, [f"data/raw/{drop}.dvc" for drop in drops], log)
    needed = {f"data/{name}": md5 for name, md5 in registered.raw.items() if name.split("/")[1] in drops}
    if missing := [name for name in needed if not (project / name).exists()]:
        where = f"on a remote ({', '.join(remotes)})" if remotes else "on a remote (there is none: dvc remote list)"
        raise UserError(
            f"The raw files of version {registered.version} are neither in DVC's cache here nor {where}: "
            f"{', '.join(missing)}. Run dvc push where they are, then this again. DVC's log: {log}"
        )
    found = file_md5s(project, needed)
    if damaged := [f"{name} (files/md5/{md5[:2]}/{md5[2:]})" for name, md5 in needed.items() if found[name] != md5]:
        raise UserError(
            f"DVC's copy of {', '.join(damaged)} is damaged. Delete the file in brackets from DVC's cache (dvc cache "
            "dir), or from the remote if it came from there, then run this again to get a good copy from elsewhere."
        )


def read_notes(project: Path, registered: Registered) -> Iterator[str]:
    """Yield what may explain a difference."""
    if registered.tags.get("git_dirty") == "true":
        yield "Note: there were uncommitted changes when this version was registered (git_dirty)."
    then, now = (path.read_bytes() if path.exists() else b"" for path in (project / REQUIREMENTS, REQUIREMENTS))
    if then != now:
        yield f"Note: {REQUIREMENTS} has changed since that commit; today's libraries were used."


def decide(registered: dict[str, float], reproduced: dict[str, float], same_bytes: bool) -> tuple[bool, str]:
    """Return whether all metrics are the same to 6 digits, and the verdict in a line."""
    changed = [
        f"{name} {describe(registered.get(name))} became {describe(value)}"
        for name, value in reproduced.items()
        if describe(registered.get(name)) != describe(value)
    ]
    if changed:
        return False, f"NOT reproduced: {', '.join(changed)}"
    return True, f"reproduced: {'the same bytes' if same_bytes else 'the same metrics, different bytes'}"


def tabulate(registered: dict[str, float], reproduced: dict[str, float], digests: tuple[str, ...]) -> list[str]:
    """Return the lines of a table: each metric as registered and as reproduced, and the model's hash."""
    rows = [(name, describe(registered.get(name)), describe(value)) for name, value in sorted(reproduced.items())]
    table = [("metric", "registered", "reproduced"), *rows, digests]
    wide = max(len(name) for name, *_ in table)
    return [f"{name:<{wide}}  {then:>12}  {now:>12}" for name, then, now in table]


def describe(value: float | None) -> str:
    """Return a number with 6 digits."""
    return "-" if value is None else f"{round(value, 6):.10g}"


def last_line(log: Path) -> str:
    """Return the last error in a log."""
    lines = log.read_text(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.startswith("ERROR")), "DVC reports no error")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", help="number of a registered version")
    parser.add_argument("--keep", type=Path, help="new folder for the clone, which is kept")
    args = parser.parse_args()
    sys.exit(0 if reproduce(args.version, args.keep) else 1)


if __name__ == "__main__":
    run_command(main)
