"""Reproduce a registered version: its commit, its raw data, its stages run again; then compare.

Reads
    the registry, git, DVC's cache and remotes, requirements.lock
Writes
    lines to the terminal, and logs/reproduce/version_<number>.log; all else in a folder that is removed at the end
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from churn.base.command import UserError, run_command
from churn.base.drops import read_drops
from churn.deliveries.folders import file_md5s, folder_md5, tracked_md5
from churn.release.candidate import CANDIDATE, METRICS
from churn.release.flatten import flatten
from churn.release.provenance import output_digest, raw_tags
from churn.release.registry import DIGEST_TAG, MODEL, open_registry
from churn.revisions.old_commit import clone_commit, pull_raw, run_dvc

LOGS = Path("logs/reproduce")
REQUIREMENTS = Path("requirements.lock")


@dataclass(frozen=True)
class Registered:
    """What the registry knows of a version: its run's metrics, and where it came from."""

    version: str
    metrics: dict[str, float]
    tags: dict[str, str]

    @property
    def raw(self) -> dict[str, str]:
        """The MD5 of each raw file, as raw/<drop>/<file>."""
        return {name: md5 for name, md5 in self.tags.items() if name.startswith("raw/")}


def reproduce(version: str, keep: Path | None) -> bool:
    """Run a version's stages again, print the comparison and tell whether the metrics are the same.

    Parameters
    ----------
    version : str
        Number of a registered version.
    keep : Path or None
        New folder for the clone, to look into afterwards; None takes one that is removed.

    Raises
    ------
    UserError
        When the version, its commit or its data are not there, its data was never committed, or a stage fails.
    """
    registered = read_registered(version)
    commit = registered.tags["git_commit"]
    log = LOGS / f"version_{version}.log"
    log.unlink(missing_ok=True)
    with open_folder(keep) as folder:
        clone_commit(commit, folder)
        drops = [str(drop) for drop in read_drops(folder / "data" / "drops.yaml")]
        check_raw(folder, drops, registered)
        fetch_raw(folder, drops, registered, log)
        print(f"Running the stages of commit {commit[:7]} again, with {len(drops)} drops; log: {log}", flush=True)
        if run_dvc(folder, ["repro", "--force", "--no-run-cache", "train_model"], log):
            raise UserError(f"Commit {commit[:7]} does not run here: {last_line(log)}. All that it said: {log}")
        metrics = json.loads((folder / METRICS / "train_model.json").read_text())
        digest = output_digest(str(CANDIDATE), folder / "dvc.lock")
        notes = list(read_notes(folder, registered))
    reproduced = {name: float(value) for name, value in flatten(metrics).items() if isinstance(value, int | float)}
    then = registered.tags.get(DIGEST_TAG, "-")
    same_metrics, verdict = decide(registered.metrics, reproduced, same_bytes=digest == then)
    digests = (str(CANDIDATE), then[:8], digest[:8])
    print("\n".join([*tabulate(registered.metrics, reproduced, digests), *notes, verdict]))
    return same_metrics


def read_registered(version: str) -> Registered:
    """Return what the registry knows of a version; raise `UserError` when it is too little to reproduce it."""
    with open_registry() as client:
        known = {str(one.version): one for one in client.search_model_versions(f"name = '{MODEL}'")}
        if version not in known:
            there = f"it has {', '.join(sorted(known, key=int))}" if known else "it has none at all"
            raise UserError(f"{MODEL} has no version {version!r}; {there}. Try: make reproduce VERSION=1")
        run_id = known[version].run_id
        data = client.get_run(run_id).data if run_id else None
    if data is None or data.tags.get("git_commit", "none") == "none":
        raise UserError(
            f"Version {version} of {MODEL} does not say which commit made it. Only what register_candidate registered "
            "in a git repository can be reproduced."
        )
    return Registered(version, data.metrics, data.tags)


@contextmanager
def open_folder(keep: Path | None) -> Iterator[Path]:
    """Give a new folder: the one to keep, or one that is removed at the end."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="reproduce-") as folder:
            yield Path(folder).resolve() / "repository"
    elif keep.exists():
        raise UserError(f"{keep} exists already. Name a folder that does not: the clone is made there.")
    else:
        yield keep.absolute()


def check_raw(clone: Path, drops: list[str], registered: Registered) -> None:
    """Make sure that the commit points at the raw files that the version was made from."""
    lock = clone / "dvc.lock"
    committed = raw_tags(lock) if lock.exists() else {}
    wrong = []
    for drop in sorted({*drops, *(name.split("/")[1] for name in registered.raw)}):
        files = {name: md5 for name, md5 in registered.raw.items() if name.split("/")[1] == drop}
        if tracked_md5(clone / "data" / "raw" / drop) == folder_md5({Path(name).name: files[name] for name in files}):
            continue
        if changed := [name for name in files if committed.get(name) != files[name]]:
            wrong += changed
        elif drop in drops:
            wrong += list(files) or [f"raw/{drop}"]
    if wrong:
        raise UserError(
            f"Version {registered.version} was made from raw files that its commit {registered.tags['git_commit'][:7]} "
            f"does not have: {', '.join(f'data/{name}' for name in wrong)}. That data was never committed, so there is "
            "nothing to start from. Before the next make run: git add data/raw/*.dvc data/drops.yaml && git commit"
        )


def fetch_raw(clone: Path, drops: list[str], registered: Registered, log: Path) -> None:
    """Get the raw files, and nothing that a stage made; DVC does not look whether its cache was damaged."""
    remotes = pull_raw(clone, [f"data/raw/{drop}.dvc" for drop in drops], log)
    needed = {f"data/{name}": md5 for name, md5 in registered.raw.items() if name.split("/")[1] in drops}
    if missing := [name for name in needed if not (clone / name).exists()]:
        asked = f"on a remote ({', '.join(remotes)})" if remotes else "on a remote (there is none: dvc remote list)"
        raise UserError(
            f"The raw files of version {registered.version} are neither in DVC's cache here nor {asked}: "
            f"{', '.join(missing)}. Run dvc push where they are, then this again. All that DVC said: {log}"
        )
    found = file_md5s(clone, needed)
    if damaged := [f"{name} (files/md5/{md5[:2]}/{md5[2:]})" for name, md5 in needed.items() if found[name] != md5]:
        raise UserError(
            f"What DVC keeps of {', '.join(damaged)} is damaged. Delete the file in brackets from DVC's cache (dvc "
            "cache dir), or from the remote if it came from there, and run this again: a whole copy is taken then."
        )


def read_notes(clone: Path, registered: Registered) -> Iterator[str]:
    """Give what may explain a difference."""
    if registered.tags.get("git_dirty") == "true":
        yield "Note: files were changed and not committed when this version was registered (git_dirty)."
    then, now = (path.read_bytes() if path.exists() else b"" for path in (clone / REQUIREMENTS, REQUIREMENTS))
    if then != now:
        yield f"Note: {REQUIREMENTS} of that commit differs from today's; the libraries are today's."


def decide(registered: dict[str, float], reproduced: dict[str, float], same_bytes: bool) -> tuple[bool, str]:
    """Tell whether all metrics are the same to 6 digits, and the verdict in a line."""
    changed = [
        f"{name} {describe(registered.get(name))} became {describe(value)}"
        for name, value in reproduced.items()
        if describe(registered.get(name)) != describe(value)
    ]
    if changed:
        return False, f"NOT reproduced: {', '.join(changed)}"
    return True, f"reproduced: {'the same bytes' if same_bytes else 'the same metrics, other bytes'}"


def tabulate(registered: dict[str, float], reproduced: dict[str, float], digests: tuple[str, ...]) -> list[str]:
    """Return the lines of a table: each metric as it was registered and as it is now, and the model's hash."""
    rows = [(name, describe(registered.get(name)), describe(value)) for name, value in sorted(reproduced.items())]
    table = [("metric", "registered", "reproduced"), *rows, digests]
    wide = max(len(name) for name, *_ in table)
    return [f"{name:<{wide}}  {then:>12}  {now:>12}" for name, then, now in table]


def describe(value: float | None) -> str:
    """Write a number with the 6 digits that count."""
    return "-" if value is None else f"{round(value, 6):.10g}"


def last_line(log: Path) -> str:
    """Return the last error in a log."""
    lines = log.read_text(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.startswith("ERROR")), "DVC names no error")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", help="number of a registered version")
    parser.add_argument("--keep", type=Path, help="new folder for the clone, which is then not removed")
    args = parser.parse_args()
    sys.exit(0 if reproduce(args.version, args.keep) else 1)


if __name__ == "__main__":
    run_command(main)
