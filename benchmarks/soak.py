"""Deliver drop after drop, and watch what grows: `make bench-soak DROPS=60`, about two minutes a drop.

Reads
    a clone of this repository, as committed, with a stack of its own
Writes
    a row per drop to <folder>/soak.csv; Markdown tables to standard output

Each turn delivers the next week to the inbox and does what the schedule does (`python scripts scheduled_run`). Then the
open files and the memory of each service are looked at, and the files that the repository and temporary folders have.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from trial import TOOL, Trial, end_by_signal

# By what is in its command, and in no other.
SERVICES = {
    "minio": "minio server",
    "spark-worker-1": "spark/worker-1",
    "spark-worker-2": "spark/worker-2",
    "spark-master": "master.Master",
    "mlflow": "mlflow server",
    "dashboard": "streamlit",
    "postgres": "postgres",
}
FIRST_WEEKS = 3
# What a service reaches in its first runs, such as a cache that fills, is no leak.
SETTLED = 1 / 3
# Growth in 100 drops that is as good as none, as a share of the mean.
FLAT_SHARE = 0.05


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return a process with all of its children."""
    return [process, *process.children(recursive=True)]


def look_at(processes: list[psutil.Process]) -> tuple[int, float]:
    """Return the number of open files and sockets of processes, and their memory in MB, shared pages counted once."""
    files, memory = 0, 0.0
    for process in processes:
        try:
            files += process.num_fds()
            memory += process.memory_full_info().pss / 1e6
        except psutil.Error:
            continue
    return files, memory


def look_at_services(trial: Trial) -> dict[str, float]:
    """Return the open files and the memory of supervisor and of each service."""
    commands = {process: " ".join(process.cmdline()) for process in trial.processes()}
    supervisor = next((process for process, command in commands.items() if "supervisord" in command), None)
    if supervisor is None:
        sys.exit("Supervisor is gone")
    found: dict[str, float] = {}
    found["supervisor: open files"], found["supervisor: MB"] = look_at([supervisor])
    for process in supervisor.children():
        command = commands.get(process, "")
        name = next((name for name, part in SERVICES.items() if part in command), "other")
        found[f"{name}: open files"], found[f"{name}: MB"] = look_at(family(process))
    return found


def count_files(folder: Path) -> int:
    """Return the number of files in a folder, at any depth."""
    return sum(len(files) for _, _, files in os.walk(folder))


def size_of(folder: Path) -> float:
    """Return the megabytes that files take, a hard link once."""
    seen: dict[int, int] = {}
    for path, _, files in os.walk(folder):
        for name in files:
            try:
                found = Path(path, name).lstat()
            except FileNotFoundError:
                continue
            seen[found.st_ino] = found.st_blocks * 512
    return sum(seen.values()) / 1e6


def look(trial: Trial) -> dict[str, float]:
    """Return all measures after a drop."""
    clone = trial.clone
    found = look_at_services(trial) if (clone / ".env").exists() else {}
    found["processes that work for the clone"] = len(trial.processes())
    found["temporary folder: files"] = count_files(trial.temporary)
    found["`.snakemake`: files"] = count_files(clone / ".snakemake")
    found["`.snakemake`: MB"] = size_of(clone / ".snakemake")
    for place in "logs", ".stack", ".git", ".dvc", "data":
        found[f"`{place}`: files"], found[f"`{place}`: MB"] = count_files(clone / place), size_of(clone / place)
    others = [path for path in clone.iterdir() if path.is_dir() and not path.is_symlink()]
    known = {".snakemake", "logs", ".stack", ".git", ".dvc", "data"}
    found["other folders: files"] = sum(count_files(path) for path in others if path.name not in known)
    found["descriptors of the whole machine"] = int(Path("/proc/sys/fs/file-nr").read_text().split()[0])
    return found


def slopes(table: pd.DataFrame) -> list[tuple[str, float, float, float, bool]]:
    """Return of each measure its first and last value, its growth in 100 drops, and whether that is as good as none."""
    settled = table.iloc[int(len(table) * SETTLED) :]
    found = []
    for name in table.columns.drop("drop"):
        values = settled[name].to_numpy(float)
        slope = 100 * np.polyfit(np.arange(len(values)), values, 1)[0] if len(values) > 1 else 0.0
        spread = np.std(values)
        is_flat = abs(slope) <= max(FLAT_SHARE * abs(values.mean()), 0.5) or abs(slope) * len(values) / 100 <= spread
        found.append((name, float(table[name].iloc[0]), float(values[-1]), float(slope), bool(is_flat)))
    return found


def report(table: pd.DataFrame, has_stack: bool) -> None:
    """Print how much each measure grew."""
    what = "with the stack up" if has_stack else "with the embedded store, without a stack"
    print(f"\n{len(table)} drops, {what}; growth is fitted to the last two thirds.\n")
    print("| what | after the first drop | after the last | growth in 100 drops | flat |\n|---|---|---|---|---|")
    for name, first, last, slope, is_flat in slopes(table):
        print(f"| {name} | {first:,.6g} | {last:,.6g} | {slope:+,.1f} | {'yes' if is_flat else 'no'} |")


def soak(trial: Trial, drops: int, has_stack: bool, rows: list[dict[str, float]]) -> None:
    """Deliver and run so many times, and add what was measured after each to `rows`."""
    trial.create()
    if has_stack:
        trial.start_stack()
    for _ in range(FIRST_WEEKS):
        trial.deliver()
    trial.run(*TOOL, "scheduled_run")
    for number in range(1, drops + 1):
        trial.deliver()
        began = time.monotonic()
        trial.run(*TOOL, "scheduled_run")
        rows.append({"drop": number, "seconds of a run": time.monotonic() - began} | look(trial))
        pd.DataFrame(rows).to_csv(trial.folder / "soak.csv", index=False)
        print(f"drop {number}: {rows[-1]['seconds of a run']:.1f} s", file=sys.stderr, flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("drops", type=int, help="number of drops")
    parser.add_argument("--users", type=int, default=300, help="payers in each drop, about (300)")
    parser.add_argument("--embedded", action="store_true", help="without the stack")
    parser.add_argument("--keep", type=Path, help="folder to keep everything in; it must not exist")
    args = parser.parse_args()
    end_by_signal()
    folder = args.keep or Path(tempfile.mkdtemp())
    trial = Trial(folder.absolute(), args.users, FIRST_WEEKS + args.drops)
    rows: list[dict[str, float]] = []
    try:
        soak(trial, args.drops, not args.embedded, rows)
        if not args.embedded:
            trial.run(*TOOL, "down")
        if left := trial.processes():
            print(f"\nStill running after make down: {left}")
    finally:
        # Also when it is stopped.
        if rows:
            report(pd.DataFrame(rows), not args.embedded)
        trial.kill_all()
        if not args.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
