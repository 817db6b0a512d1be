"""Measure what the bridge costs in a repository that knows nothing of it: `make bench-freshness`, about ten minutes.

Reads
    workflow/freshness/
Writes
    a Markdown table to standard output; other files to a temporary folder
"""

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from workflow.freshness.tests.commands import ENVIRONMENT, PACKAGE
from workflow.freshness.tests.small_pipeline import Repository

SIZES, REPEATS, GIGABYTES = (40, 320, 1000), 5, 10
# `dvc repro` reads and writes all of dvc.lock for each stage: with a thousand, that would take most of the time.
MOST_WITH_DVC = 320
COMMAND = "python write.py raw/table.txt made/{}.txt"
WRITE = """
import sys, time
from pathlib import Path
source, output, *seconds = sys.argv[1:]
Path(output).parent.mkdir(exist_ok=True)
time.sleep(float(seconds[0]) if seconds else 0)
Path(output).write_text(Path(source).read_text() + output)
"""
SNAKEMAKE = ("snakemake", "-s", str(PACKAGE / "dvc.smk"))
# Runs a command, waits for what it leaves behind, such as DVC's process, and prints seconds, CPU seconds, bytes read.
MEASURE = """
import ctypes, json, os, resource, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
begin = time.perf_counter()
with open("out.log", "w") as log:
    code = subprocess.run(sys.argv[1:], stdout=log, stderr=log).returncode
seconds = time.perf_counter() - begin
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
used = resource.getrusage(resource.RUSAGE_CHILDREN)
read = int(open("/proc/self/io").read().split()[1])
print(json.dumps([seconds, used.ru_utime + used.ru_stime, read]))
sys.exit(code and open("out.log").read())
"""


@dataclass
class Cost:
    """Cost of a command and its child processes: wall-clock seconds, CPU seconds, bytes read."""

    seconds: float
    cpu: float
    read: int


def measure(repository: Repository, *command: str) -> Cost:
    """Run a command that must succeed."""
    environment = ENVIRONMENT | {"RAN": str(repository.log)}
    answer = subprocess.run(
        [sys.executable, "-c", MEASURE, *command],
        cwd=repository.folder,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return Cost(*json.loads(answer.stdout))


def median(repository: Repository, *command: str) -> Cost:
    """Run a command several times."""
    found = [measure(repository, *command) for _ in range(REPEATS)]
    return Cost(*(statistics.median(vars(cost)[name] for cost in found) for name in ("seconds", "cpu", "read")))


def make_repository(folder: Path, stages: int, seconds: str = "") -> Repository:
    """Make a repository of independent stages that have not run yet."""
    repository = Repository(folder)
    definition = {"foreach": list(range(stages)), "do": {}}
    definition["do"] = {
        "cmd": COMMAND.format("${item}") + seconds,
        "deps": ["raw/table.txt", "write.py"],
        "outs": ["made/${item}.txt"],
    }
    files = {
        "dvc.yaml": str({"stages": {"copy": definition}}),
        "write.py": WRITE,
        "raw/table.txt": "one\n",
        ".gitignore": "/made\n/raw/table.txt\n/raw/big.csv\n*.log\n",
    }
    repository.create(files, track=("raw/table.txt",))
    return repository


def measure_size(folder: Path, stages: int) -> list[tuple[str, str]]:
    """Compare DVC alone with the bridge: from nothing, nothing to do, ten stages stale."""
    commands = "\n".join(COMMAND.format(number) for number in range(stages))
    rows = []
    alone = measure(make_repository(folder / f"commands-{stages}", stages), "sh", "-c", commands)
    if stages <= MOST_WITH_DVC:
        cost = measure(make_repository(folder / f"dvc-{stages}", stages), "dvc", "repro")
        rows.append((f"{stages} stages from nothing, `dvc repro`", tell(cost, alone, stages)))
    for cores in "1", "2":
        repository = make_repository(folder / f"bridge-{stages}-{cores}", stages)
        cost = measure(repository, *SNAKEMAKE, "--cores", cores)
        rows.append((f"{stages} stages from nothing, `snakemake --cores {cores}`", tell(cost, alone, stages)))
    for command in ("dvc", "status"), (*SNAKEMAKE, "-n"), (*SNAKEMAKE, "--cores", "2"):
        # What comes after a run looks at everything that the run has made.
        measure(repository, *command)
        cost = median(repository, *command)
        rows.append((f"nothing to do, {stages} stages, `{shown(command)}`", f"{cost.seconds:.2f} s"))
    for command in ("dvc", "repro"), (*SNAKEMAKE, "--cores", "2"):
        for number in range(10):
            repository.path(f"made/{number}.txt").unlink()
        cost = measure(repository, *command)
        rows.append((f"{stages} stages, 10 outputs missing, `{shown(command)}`", f"{cost.seconds:.1f} s"))
    return rows


def shown(command: tuple[str, ...]) -> str:
    """Return a command as the table has it."""
    return " ".join(command).replace(f" -s {PACKAGE}/dvc.smk", "")


def tell(cost: Cost, alone: Cost, stages: int) -> str:
    """Return what it took, and the CPU time of a stage on top of its command."""
    over = (cost.cpu - alone.cpu) / stages
    return f"{cost.seconds:.1f} s, {cost.cpu:.1f} s of CPU: {over:.2f} s a stage on top of its command"


def measure_big_data(folder: Path) -> list[tuple[str, str]]:
    """Compare the bytes that a no-op reads with and without a large unchanged raw file."""
    repository = make_repository(folder / "big", 2)
    measure(repository, *SNAKEMAKE, "--cores", "2")
    measure(repository, *SNAKEMAKE, "-n")
    before = measure(repository, *SNAKEMAKE, "-n").read
    # A hard link, so that DVC's cache needs no second copy.
    repository.command("dvc", "config", "cache.type", "hardlink")
    with repository.path("raw/big.csv").open("wb") as file:
        file.truncate(GIGABYTES * 1000**3)
    repository.command("dvc", "add", "--quiet", "raw/big.csv")
    measure(repository, *SNAKEMAKE, "-n")
    after = measure(repository, *SNAKEMAKE, "-n")
    return [
        (
            f"a no-op with {GIGABYTES} GB more of unchanged raw data",
            f"{after.seconds:.2f} s; reads {(after.read - before) / 1000:+.0f} kB of {before / 1e6:.0f} MB",
        )
    ]


def measure_parallel(folder: Path) -> list[tuple[str, str]]:
    """Run eight stages of five seconds in parallel."""
    repository = make_repository(folder / "eight", 8, seconds=" 5")
    return [("eight stages of 5 s, `--cores 8`", f"{measure(repository, *SNAKEMAKE, '--cores', '8').seconds:.1f} s")]


def main() -> None:
    """Measure, and print each result as soon as it is known."""
    print("| what | cost |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for stages in SIZES:
            for what, cost in measure_size(Path(folder), stages):
                print(f"| {what} | {cost} |", flush=True)
        for measured in measure_parallel, measure_big_data:
            for what, cost in measured(Path(folder)):
                print(f"| {what} | {cost} |", flush=True)


if __name__ == "__main__":
    main()
