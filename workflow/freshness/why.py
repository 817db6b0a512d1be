"""Why a step runs, in words: what changed, from what, to what.

python workflow/why.py          what `snakemake --dry-run` found: each stale step, and what changed
"""

import signal

from .state import OUTCOMES, file_name
from .steps import Step, makers_of, planned, read_plan

HASH_LENGTH = 8


def explain(stage, status: list) -> list[str]:
    """Return a line for each thing in which a DVC stage or pointer differs from its last run.

    Parameters
    ----------
    stage : dvc.stage.Stage
        The stage, as loaded from dvc.yaml and dvc.lock.
    status : list
        What `dvc status` says of it: "changed command", or {"changed deps": {path: state}}.
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
                    lines.append(_path_line(path, named.get(False), state))
    return lines


def differences(then: object, now: object, name: str) -> list[str]:
    """Return a line for each value that differs; of nested values the innermost."""
    if isinstance(then, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*then, *now])
        return [line for key in keys for line in differences(then.get(key), now.get(key), f"{name}.{key}")]
    return [] if then == now else [f"{name}: {then!r} -> {now!r}"]


def reasons(steps: list[Step]) -> dict[str, list[str]]:
    """Return why each step would run: what changed, and the steps that run before it and make what it reads.

    A step that would not run has no lines.
    """
    found: dict[str, list[str]] = {}

    def look(step: Step) -> list[str]:
        if step.name not in found:
            makers = {maker.name: maker for dep in step.deps for maker in makers_of(dep, steps)}
            stale = [maker.name for maker in makers.values() if look(maker)]
            asked = ["Snakemake was asked to run it"] if step.forced else []
            found[step.name] = [*step.why, *asked, *([f"reads what {', '.join(stale)} will make"] if stale else [])]
        return found[step.name]

    for step in steps:
        look(step)
    return found


def print_reasons(name: str) -> None:
    """Print at the top of a job's log why the step runs; nothing when no Snakemake has looked."""
    for line in reasons(read_plan())[name] if planned(name) else []:
        print(f"Why: {line}", flush=True)


def summary() -> str:
    """Return in one line how many of the stages that Snakemake started DVC ran, and which did not have to run."""
    told = {step.name: OUTCOMES / file_name(step.name) for step in read_plan() if step.kind == "stage"}
    outcomes = {name: path.read_text() for name, path in told.items() if path.exists()}
    known = [name for name, outcome in outcomes.items() if outcome == "known"]
    ran = f"{len(outcomes) - len(known)} ran"
    return (
        f"Stages: {ran}; {len(known)} did not have to, DVC knew the outcome: {', '.join(known)}"
        if known
        else f"Stages: {ran}"
    )


def _has_params(item) -> bool:
    # A file can be a dep as a whole, and another for some of its parameters.
    return hasattr(item, "read_params")


def _params_lines(path: str, item) -> list[str]:
    then, now = item.hash_info.value or {}, item.read_params()
    names = dict.fromkeys([*then, *now])
    return [line for name in names for line in differences(then.get(name), now.get(name), f"{path} {name}")]


def _path_line(path: str, item, state: str) -> str:
    then = item and item.hash_info.value
    if state == "modified" and then:
        return f"{path}: {then[:HASH_LENGTH]} -> {item.get_hash().value[:HASH_LENGTH]}"
    return f"{path}: {state}"


def print_stale_steps() -> None:
    """Print every step that would run, with its reasons."""
    # Whoever reads may have read enough, as `head` does.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    stale = {name: lines for name, lines in reasons(read_plan()).items() if lines}
    for name, lines in stale.items():
        print("\n    ".join([name, *lines]))
    if not stale:
        print("Nothing is stale.")
