"""Why a step runs, in words: what changed, from what to what."""

import signal
import sys
from typing import Any

from .folders import changed_files, short
from .listings import Listings, is_folder
from .locks import is_locked
from .state import PLAN, outcome_file, some
from .steps import read_plan


def explain(stage: Any, status: list[Any], listings: Listings) -> list[str]:
    """Return a line for each difference between a DVC stage or pointer and its last run.

    Parameters
    ----------
    stage : dvc.stage.Stage
        The stage, as loaded from dvc.yaml and dvc.lock.
    status
        What `dvc status` reports for it: "changed command", or {"changed deps": {path: state}}.
    listings
        The contents of folders, to name the files that changed in them.
    """
    if status and not any(item.hash_info for item in [*stage.deps, *stage.outs]):
        return ["never run"]
    lines = []
    for change in status:
        if isinstance(change, str):
            lines.append(change)
            continue
        for kind, paths in change.items():
            items = stage.outs if kind == "changed outs" else stage.deps
            for path, state in paths.items():
                named = {_has_params(item): item for item in items if str(item) == path}
                if isinstance(state, dict):
                    lines += _params_lines(path, named[True])
                else:
                    lines += _path_lines(path, named.get(False), state, listings)
    return lines


def differences(then: object, now: object, name: str) -> list[str]:
    """Return a line for each value that differs; of nested values, the innermost."""
    if isinstance(then, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*then, *now])
        return [line for key in keys for line in differences(then.get(key), now.get(key), f"{name}.{key}")]
    return [] if then == now else [f"{name}: {then!r} -> {now!r}"]


def print_stale_steps() -> int:
    """Print every step that would run and is not done yet, with its reasons, as the last Snakemake found them.

    Returns
    -------
    int
        The exit code: 1 if no Snakemake has found out here.
    """
    # The reader may close the pipe early, as `head` does.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if not PLAN.exists():
        print("ERROR: Nothing is known yet: run snakemake --dry-run first, in this folder.", file=sys.stderr)
        return 1
    stale = [step for step in read_plan().values() if step.runs and not outcome_file(step.name).exists()]
    if is_locked():
        print(f"Snakemake is running; {len(stale)} steps are not done:")
    for step in stale:
        print("\n    ".join([step.name, *step.reasons, *step.needed]))
    if not stale:
        print("Nothing is stale.")
    return 0


def summarize_outcomes() -> str:
    """Return one line about the stages that Snakemake started: how many ran, and which DVC could skip or restore."""
    files = {name: outcome_file(name) for name, step in read_plan().items() if step.kind == "stage"}
    outcomes = {name: path.read_text() for name, path in files.items() if path.exists()}
    known = [name for name, outcome in outcomes.items() if outcome != "ran"]
    ran = f"Stages: {len(outcomes) - len(known)} ran"
    return f"{ran}; {len(known)} did not have to, DVC knew the outcome: {some(known)}" if known else ran


def _has_params(item: Any) -> bool:
    # A file can be a dependency as a whole, and another for some of its parameters.
    return hasattr(item, "read_params")


def _params_lines(path: str, item: Any) -> list[str]:
    then, now = item.hash_info.value or {}, item.read_params()
    names = dict.fromkeys([*then, *now])
    return [line for name in names for line in differences(then.get(name), now.get(name), f"{path} {name}")]


def _path_lines(path: str, item: Any, state: str, listings: Listings) -> list[str]:
    if state != "modified" or not item or not item.hash_info.value:
        return [f"{path}: {state}"]
    if isinstance(item.hash_info.value, dict):
        # A dataset (ds://) is known by its fields.
        return differences(item.hash_info.value, item.get_hash().value, path)
    now = listings.now(item)
    if now is not None and is_folder(item):
        then = listings.then(item)
        if then is not None and (lines := changed_files(path, then, now)):
            return lines
    return [f"{path}: {short(item.hash_info.value)} -> {short(item.get_hash().value)}"]
