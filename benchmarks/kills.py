"""Kill the whole stack again and again while it works: `make bench-kills KILLS=100`, about a minute a kill.

Reads
    a clone of this repository, as committed, with a stack of its own; and a second one, the twin, without a stack
Writes
    a row per kill to <folder>/kills.csv; Markdown tables to standard output

In each round a new drop arrives, or a parameter changes. The twin runs undisturbed. In the clone, everything is killed
with SIGKILL at a random time of its run: Snakemake, the steps, supervisor and all services. Then follow `make up` and
the same run, which is killed too, until one is done before its kill comes. That one must give what the twin has:
dvc.lock, metrics, versions and promotions.
"""

import argparse
import json
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import yaml
from trial import TOOL, Trial, end_by_signal, scratch_left

FIRST_WEEKS = 3
# A change that each run has to do with: what in params.yaml is replaced, and by what.
CHANGES = {
    "tolerance": (r"(?m)^  tolerance: [\d.]+", "  tolerance: {:.6f}", 0.001, 0.00001),
    "sample_rows": (r"(?m)^  sample_rows: \d+", "  sample_rows: {:.0f}", 1000, 1),
    "sample_users": (r"(?m)^  sample_users: \d+", "  sample_users: {:.0f}", 20000, 1),
}
WORK = ("sh", "-c", "python scripts inbox --commit && exec snakemake --cores 2")
# A kill comes within this share of the time that an undisturbed run takes: each run goes on where the last was killed.
# With each kill of a round it is larger: a step that takes longer than that would never end.
SHARE, MORE = 0.6, 0.1
TRIES = 3
AGAIN = 0.2  # the share of recoveries that are killed too
# The registry as JSON, read as the commands read it.
REGISTRY = """
import json, sys
sys.path.insert(0, "scripts")
from churn.base.command import run_command
from churn.release.ledger import read_entries
from churn.release.names import model_name
from churn.release.registry import find_versions, open_registry

def main():
    with open_registry() as client:
        versions = [[int(one.version), one.status, one.tags["identity"]] for one in find_versions(client, model_name())]
        aliases = {name: int(one) for name, one in client.get_registered_model(model_name()).aliases.items()}
        valid = [one for one in read_entries(client) if one.valid]
        entries = [[one.action, one.from_version, one.to_version, one.done] for one in valid]
    print("REGISTRY", json.dumps({"versions": versions, "aliases": aliases, "entries": entries}))

run_command(main)
"""


def change(number: int, one: random.Random, trials: list[Trial]) -> str:
    """Make the change of a round in all repositories, and return what it is."""
    what = one.choice(("drop", "drop", *CHANGES))
    for trial in trials:
        if what == "drop":
            trial.deliver()
            continue
        pattern, text, first, step = CHANGES[what]
        path = trial.clone / "params.yaml"
        changed, found = re.subn(pattern, text.format(first + number * step), path.read_text())
        if found != 1:
            sys.exit(f"params.yaml has {found} times {pattern}")
        path.write_text(changed)
    return what


def state_of(trial: Trial) -> dict:
    """Return what a run made: the stages of dvc.lock, the metrics, the list of drops, the registry."""
    code, _, printed = trial.try_run(sys.executable, "-c", REGISTRY)
    registry = re.search(r"^REGISTRY (.*)$", printed, re.MULTILINE)
    metrics = trial.clone / "metrics"
    return {
        "dvc.lock": yaml.safe_load((trial.clone / "dvc.lock").read_text())["stages"],
        "metrics": {str(path.relative_to(metrics)): path.read_bytes() for path in sorted(metrics.rglob("*.json"))},
        "drops": (trial.clone / "data/drops.yaml").read_text(),
        "registry": json.loads(registry[1]) if registry else f"not readable, exit code {code}: {printed[-300:]}",
    }


def difference(mine: object, wanted: object, path: str = "") -> str:
    """Return where two values differ first, "" if they are the same."""
    if mine == wanted:
        return ""
    if isinstance(mine, dict) and isinstance(wanted, dict):
        for key in sorted({*mine, *wanted}):
            if found := difference(mine.get(key), wanted.get(key), f"{path}/{key}"):
                return found
    return f"{path}: {str(mine)[:300]} instead of {str(wanted)[:300]}"


def phase_of(trial: Trial) -> str:
    """Return the step that runs, the first of them if there are two."""
    if steps := trial.steps():
        return steps[0]
    said = " ".join(" ".join(process.info["cmdline"] or []) for process in _listed(trial))
    return "inbox" if "scripts inbox" in said else "planning" if "snakemake" in said else "idle"


def _listed(trial: Trial) -> list:
    found = []
    for process in trial.processes():
        process.info = process.as_dict(["cmdline"])
        found.append(process)
    return found


def kill_in_run(trial: Trial, after: float) -> tuple[str, int]:
    """Run, kill everything after so many seconds, and return what was running and how many processes there were.

    If the run is done before, nothing is killed, and "" and its exit code are returned.
    """
    work, began = trial.begin(*WORK), time.monotonic()
    while work.poll() is None and time.monotonic() - began < after:
        time.sleep(0.02)
    if work.poll() is not None:
        return "", work.returncode
    phase = phase_of(trial)
    number = trial.kill_all()
    work.wait()
    return phase, number


def start_again(trial: Trial, one: random.Random, faults: list[str]) -> float:
    """Start the stack, now and then killed in this too; return the seconds of the start that was left alone."""
    if one.random() < AGAIN:
        starting = trial.begin(*TOOL, "up")
        time.sleep(one.uniform(0.5, 20))
        trial.kill_all()
        starting.wait()
    return insist(trial, (*TOOL, "up"), faults)


def insist(trial: Trial, command: tuple[str, ...], faults: list[str]) -> float:
    """Run a command until it succeeds, and return the seconds; each failure is a fault."""
    took = 0.0
    for number in range(TRIES):
        code, seconds, printed = trial.try_run(*command)
        took += seconds
        if code == 0:
            break
        errors = [line for line in printed.splitlines() if "ERROR" in line or "Error" in line]
        faults.append(f"try {number + 1} of {command[-1][:30]} failed: {(errors or [printed[-300:]])[0][:300]}")
    return took


def judge(trial: Trial, wanted: dict) -> list[str]:
    """Return what is not as after an undisturbed run."""
    faults = []
    _, _, status = trial.try_run("dvc", "status")
    if "up to date" not in status:
        faults.append(f"dvc status: {status.strip()[-200:]}")
    _, _, rehearsal = trial.try_run("snakemake", "-n")
    if "Nothing to be done" not in rehearsal:
        faults.append(f"snakemake -n: {rehearsal.strip()[-200:]}")
    if left := scratch_left(trial.clone):
        faults.append(f"leaves {left}")
    if found := difference(state_of(trial), wanted):
        faults.append(f"differs in {found}")
    return faults


def report(kills: pd.DataFrame, rounds: pd.DataFrame) -> None:
    """Print the kills by what was running, the rounds, and the faults."""
    print("\n| running | kills | `make up` after it: median, most s | faults |\n|---|---|---|---|")
    for phase, own in [*kills.groupby("phase"), ("all", kills)]:
        print(f"| {phase} | {len(own)} | {own.up.median():.0f}, {own.up.max():.0f} | {(own.faults != '').sum()} |")
    print(
        f"\n{len(rounds)} rounds, {(rounds.faults == '').sum()} with the results of an undisturbed run, which took "
        f"{rounds.undisturbed.median():.0f} s (median). A kill ended {kills.killed.median():.0f} processes (median)."
    )
    for fault, number in Counter(fault for fault in [*kills.faults, *rounds.faults] if fault).items():
        print(f"\n- {number} times: {fault}")


def play_round(number: int, seed: int, killed: Trial, twin: Trial, kills: list[dict]) -> dict:
    """Kill until a run of one change is done, and return how it ended; each kill is a row of `kills`."""
    one = random.Random(f"{seed} {number}")
    what = change(number, one, [killed, twin])
    undisturbed = twin.run(*WORK)
    wanted, share = state_of(twin), SHARE
    while True:
        faults: list[str] = []
        phase, ended = kill_in_run(killed, one.uniform(0, share * undisturbed))
        if not phase:
            faults += [f"a run that was not killed ended with {ended}"] if ended else []
            break
        share += MORE
        up = start_again(killed, one, faults)
        kills.append({"round": number, "change": what, "phase": phase, "killed": ended, "up": up})
        kills[-1]["faults"] = "; ".join(faults)
        print(json.dumps(kills[-1]), file=sys.stderr, flush=True)
    # What failed is tried again; what is done takes no time.
    insist(killed, WORK, faults)
    faults += judge(killed, wanted)
    return {"round": number, "undisturbed": undisturbed, "faults": "; ".join(faults)}


def campaign(folder: Path, number: int, seed: int, users: int) -> None:
    """Kill so many times, and report."""
    # More drops than there can be rounds.
    trials = [Trial(folder / name, users, FIRST_WEEKS + number) for name in ("killed", "twin")]
    killed, twin = trials
    kills: list[dict] = []
    rounds: list[dict] = []
    try:
        for trial in trials:
            trial.create()
            for _ in range(FIRST_WEEKS):
                trial.deliver()
        killed.start_stack()
        for trial in trials:
            trial.run(*WORK)
        while len(kills) < number:
            rounds.append(play_round(len(rounds) + 1, seed, killed, twin, kills))
            print(json.dumps(rounds[-1]), file=sys.stderr, flush=True)
            pd.DataFrame(kills).to_csv(folder / "kills.csv", index=False)
        killed.run(*TOOL, "down")
        time.sleep(2)
        left = [process.as_dict(["pid", "cmdline"]) for process in killed.processes()]
        print(f"\nProcesses left after make down: {left or 'none'}")
        print(f"\nFiles left in the temporary folder: {sum(1 for _ in killed.temporary.rglob('*'))}")
    finally:
        if kills and rounds:
            report(pd.DataFrame(kills), pd.DataFrame(rounds))
        for trial in trials:
            trial.kill_all()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kills", type=int, help="number of kills")
    parser.add_argument("--users", type=int, default=300, help="payers in each drop, about (300)")
    parser.add_argument("--seed", type=int, default=1, help="a different seed kills at other times (1)")
    parser.add_argument("--keep", type=Path, help="folder to keep everything in; it must not exist")
    args = parser.parse_args()
    end_by_signal()
    folder = (args.keep or Path(tempfile.mkdtemp())).absolute()
    try:
        campaign(folder, args.kills, args.seed, args.users)
    finally:
        if not args.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
