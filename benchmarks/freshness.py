"""Measure the overhead of the bridge between DVC and Snakemake over each tool alone: `make bench-freshness`.

Reads
    workflow/freshness/
Writes
    a Markdown table to standard output; other files to a temporary folder
"""

import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from workflow.freshness.tests.commands import ENVIRONMENT
from workflow.freshness.tests.small_pipeline import FILES, PROFILE, Repository

STAGES, REPEATS, GIGABYTES = 40, 7, 10
COMMAND = "python write.py raw/table.txt made/{}.txt"
WRITE = """
import sys, time
from pathlib import Path
source, output, *seconds = sys.argv[1:]
Path(output).parent.mkdir(exist_ok=True)
time.sleep(float(seconds[0]) if seconds else 0)
Path(output).write_text(Path(source).read_text() + output)
"""
SNAKEFILE = """
import sys, time
begin = time.perf_counter()
sys.path.append(workflow.basedir)
from workflow.freshness import Freshness
fresh = Freshness(workflow)
rule all:
    input: expand("made/{{name}}.txt", name=range({stages}))
rule copy:
    input: fresh.stage("copy@{{name}}")
    output: "made/{{name}}.txt"
    shell: "python -m workflow.freshness stage copy@{{wildcards.name}}"
rule track:
    input: fresh.stage("raw/{{file}}.dvc")
    output: update("raw/{{file}}.dvc")
    shell: "python -m workflow.freshness stage {{output}}"
open("parsed.txt", "a").write(f"{{time.perf_counter() - begin}}\\n")
"""
EMPTY = 'rule all:\n    input: "raw/table.txt"\n'
ASK_DVC = """
import time
begin = time.perf_counter()
from dvc.repo import Repo
with Repo() as repo:
    repo.status(check_updates=False)
print(time.perf_counter() - begin)
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
    script = '"$@" > out.log 2>&1 || { cat out.log >&2; exit 1; }; cat /proc/$$/io > io.txt'
    used, begin = os.times(), time.perf_counter()
    subprocess.run(["sh", "-c", script, "sh", *command], cwd=repository.folder, env=environment, check=True)
    seconds, now = time.perf_counter() - begin, os.times()
    cpu = now.children_user + now.children_system - used.children_user - used.children_system
    return Cost(seconds, cpu, int(repository.read("io.txt").split()[1]))


def alternate(repository: Repository, commands: dict[str, tuple[str, ...]]) -> dict[str, float]:
    """Return the median seconds of each command; they run in turns, so that a slow minute affects all of them."""
    found = {name: [] for name in commands}
    for _ in range(REPEATS):
        for name, command in commands.items():
            found[name].append(measure(repository, *command).seconds)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


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
        "profiles/default/config.yaml": PROFILE,
        "write.py": WRITE,
        "raw/table.txt": "one\n",
        "Snakefile": SNAKEFILE.format(stages=stages),
        "Empty.smk": EMPTY,
        ".gitignore": "/made\n/raw/table.txt\n/raw/big.csv\n.snakemake\n*.log\n",
        ".dvcignore": FILES[".dvcignore"],
    }
    repository.create(files, track=("raw/table.txt",))
    return repository


def measure_no_op(repository: Repository) -> list[tuple[str, str]]:
    """Compare a Snakemake run on fresh stages with `dvc status` and an empty Snakefile."""
    commands = {
        "dvc status": ("dvc", "status"),
        "snakemake -n --snakefile Empty.smk": ("snakemake", "-n", "--snakefile", "Empty.smk"),
        "snakemake -n": ("snakemake", "-n"),
        "snakemake --cores 2": ("snakemake", "--cores", "2"),
    }
    found = alternate(repository, commands)
    alone = found["dvc status"] + found["snakemake -n --snakefile Empty.smk"]
    rows = [(f"`{name}`, {STAGES} fresh stages", f"{seconds:.2f} s") for name, seconds in found.items()]
    return [
        *rows,
        (
            "`snakemake -n`, relative to `dvc status` plus an empty `snakemake -n`",
            f"{found['snakemake -n'] / alone:.2f} times",
        ),
    ]


def measure_parsing(repository: Repository) -> list[tuple[str, str]]:
    """Compare the time to read the Snakefile with the time DVC alone takes to compute the status."""
    repository.path("parsed.txt").unlink(missing_ok=True)
    dvc = []
    for _ in range(REPEATS):
        measure(repository, "snakemake", "-n")
        dvc.append(float(repository.command("python", "-c", ASK_DVC)))
    parsed = statistics.median(map(float, repository.read("parsed.txt").split()))
    over = parsed - statistics.median(dvc)
    return [("reading the Snakefile, in addition to DVC's own status", f"{over:.2f} s ({parsed:.2f} s in all)")]


def measure_stages(repository: Repository) -> list[tuple[str, str]]:
    """Compare running all stages through Snakemake with running only their commands."""
    commands = "\n".join(COMMAND.format(number) for number in range(STAGES))
    rows = []
    alone = measure(repository, "sh", "-c", commands)
    for cores in "1", "2":
        repository.write("raw/table.txt", f"changed for {cores}\n")
        through = measure(repository, "snakemake", "--cores", cores)
        over = (through.cpu - alone.cpu) / STAGES
        cost = f"{through.seconds:.1f} s; {over:.2f} s of CPU per stage on top of its command"
        rows.append((f"{STAGES} stale stages, `--cores {cores}`", cost))
    repository.write("raw/table.txt", "changed for DVC\n")
    rows.append((f"`dvc repro`, {STAGES} stale stages", f"{measure(repository, 'dvc', 'repro').seconds:.1f} s"))
    return rows


def measure_big_data(repository: Repository) -> list[tuple[str, str]]:
    """Compare the bytes that a no-op reads with and without a large unchanged raw file."""
    before = measure(repository, "snakemake", "-n").read
    # A hard link, so that DVC's cache needs no second copy.
    repository.command("dvc", "config", "cache.type", "hardlink")
    with repository.path("raw/big.csv").open("wb") as file:
        file.truncate(GIGABYTES * 1000**3)
    repository.command("dvc", "add", "--quiet", "raw/big.csv")
    measure(repository, "snakemake", "-n")
    after = measure(repository, "snakemake", "-n")
    return [
        (
            f"a no-op with {GIGABYTES} GB more of unchanged raw data",
            f"{after.seconds:.2f} s; reads {(after.read - before) / 1000:+.0f} kB of {before / 1e6:.0f} MB",
        )
    ]


def measure_parallel(folder: Path) -> list[tuple[str, str]]:
    """Run eight stages of five seconds in parallel."""
    repository = make_repository(folder, 8, seconds=" 5")
    return [("eight stages of 5 s, `--cores 8`", f"{measure(repository, 'snakemake', '--cores', '8').seconds:.1f} s")]


def main() -> None:
    """Measure, and print each result as soon as it is known."""
    print("| what | cost |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        repository = make_repository(Path(folder) / "forty", STAGES)
        repository.command("snakemake", "--cores", "2")
        for measured in measure_no_op, measure_parsing, measure_stages, measure_big_data:
            for what, cost in measured(repository):
                print(f"| {what} | {cost} |", flush=True)
        for what, cost in measure_parallel(Path(folder) / "eight"):
            print(f"| {what} | {cost} |")


if __name__ == "__main__":
    main()
