"""A small pipeline of fast stages, with the real bridge, DVC and Snakemake, and a log of what really ran."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

import yaml
from dvc.repo import Repo

from ..folders import folder_hash
from .commands import ENVIRONMENT, PACKAGE, run

DVC_YAML = """
stages:
  clean:
    foreach: [a, b]
    do:
      cmd: python clean.py raw/${item}.csv clean/${item}.txt
      deps: ["raw/${item}.csv", clean.py]
      outs: ["clean/${item}.txt"]
  join:
    cmd: python collect.py joined.txt ${join} clean/a.txt clean/b.txt
    deps: [clean, collect.py, words.py]
    params: [join]
    outs: [joined.txt]
  report:
    cmd: python collect.py report/all.txt report joined.txt
    deps: [joined.txt, collect.py, words.py]
    outs: [report]
"""
# Every stage writes to a log outside that it ran. It writes its output beside the target, in two halves with a pause of
# SLOW seconds between, longer while a file `.hold` is beside the log, and then moves it: a killed one leaves a scratch
# folder, which the next one removes.
# Cleaning sorts and upper-cases, so that some changes are undone.
CLEAN = """
import sys
from pathlib import Path
from slowly import write
source, output = sys.argv[1:]
write(output, "".join(sorted(Path(source).read_text().upper().splitlines(True))))
"""
COLLECT = """
import sys
from pathlib import Path
from slowly import write
from words import headed
output, title, *sources = sys.argv[1:]
write(output, headed(title, [Path(source).read_text() for source in sources]))
"""
SLOWLY = """
import os, shutil, sys, tempfile, time
from pathlib import Path
def write(output, text):
    with open(os.environ["RAN"], "a") as log:
        log.write(f"{output}\\n")
    output = Path(output)
    output.parent.mkdir(exist_ok=True)
    for leftover in output.parent.glob(f".writing-{output.name}-*"):
        shutil.rmtree(leftover)
    try:
        with tempfile.TemporaryDirectory(prefix=f".writing-{output.name}-", dir=output.parent) as folder:
            new = Path(folder, output.name)
            with new.open("w", buffering=1) as file:
                file.write(text[: len(text) // 2])
                file.flush()
                time.sleep(float(os.environ.get("SLOW", "0")))
                while Path(f"{os.environ['RAN']}.hold").exists():
                    time.sleep(0.02)
                file.write(text[len(text) // 2 :])
            new.replace(output)
    except OSError as error:
        sys.exit(f"{output}: {error.strerror}")
"""
WORDS = '''
def headed(title, texts):
    """Return texts below a title."""
    return title + "\\n" + "".join(texts)
'''
SNAKEFILE = """
import sys
sys.path.append(workflow.basedir)
from workflow.freshness import Freshness
fresh = Freshness(workflow)
onsuccess:
    fresh.print_summary()
rule report:
    input: fresh.stage("report")
    output: directory("report")
    shell: "python -m workflow.freshness stage report"
rule join:
    input: fresh.stage("join")
    output: "joined.txt"
    shell: "python -m workflow.freshness stage join"
rule clean:
    input: fresh.stage("clean@{name}")
    output: "clean/{name}.txt"
    shell: "python -m workflow.freshness stage clean@{wildcards.name}"
rule track:
    input: fresh.stage("raw/{name}.csv.dvc")
    output: update("raw/{name}.csv.dvc")
    shell: "python -m workflow.freshness stage {output}"
"""
PROFILE = """
rerun-triggers: [mtime]
rerun-incomplete: true
show-failed-logs: true
scheduler: greedy
"""
IGNORED = "/clean\n/joined.txt\n/report\n/raw/*.csv\n.snakemake\n__pycache__\n.writing-*\n"
FILES = {
    "profiles/default/config.yaml": PROFILE,
    "dvc.yaml": DVC_YAML,
    "Snakefile": SNAKEFILE,
    "params.yaml": "join: all\nother: 1\n",
    "clean.py": CLEAN,
    "collect.py": COLLECT,
    "slowly.py": SLOWLY,
    "words.py": WORDS,
    "raw/a.csv": "x\ny\n",
    "raw/b.csv": "z\n",
    ".gitignore": IGNORED,
    ".dvcignore": "__pycache__/\n.snakemake_timestamp\n.writing-*\n",
}
BELOW_A = ["clean/a.txt", "joined.txt", "report/all.txt"]
JOINED = ["joined.txt", "report/all.txt"]
EVERYTHING = ["clean/a.txt", "clean/b.txt", "joined.txt", "report/all.txt"]
TOOLS = {"dvc": ("dvc", "repro"), "snakemake": ("snakemake", "--cores", "2")}


class Repository:
    """A repository of DVC and git in a folder; `log` is the file to which its stages write that they ran."""

    tools: ClassVar = TOOLS

    def __init__(self, folder: Path, log: Path | None = None):
        self.folder, self.log = folder, log or folder.parent / "ran.log"

    def create(
        self,
        files: dict[str, str] = FILES,
        track: tuple[str, ...] = ("raw/a.csv", "raw/b.csv"),
        init: tuple[str, ...] = ("dvc", "init", "--quiet"),
    ) -> None:
        for name, text in files.items():
            self.write(name, text)
        shutil.copytree(
            PACKAGE, self.folder / "workflow" / "freshness", ignore=shutil.ignore_patterns("tests", "__pycache__")
        )
        self.command("git", "init", "--quiet", "--initial-branch", "main")
        self.command(*init)
        if track:
            self.command("dvc", "add", "--quiet", *track)

    def path(self, name: str) -> Path:
        return self.folder / name

    def read(self, name: str) -> str:
        return self.path(name).read_text()

    def write(self, name: str, text: str, time: float | None = None) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)
        if time is not None:
            os.utime(self.path(name), (time, time))

    def command(self, *parts: str, fails: bool = False) -> str:
        answer = run(*parts, cwd=self.folder, fails=fails, RAN=str(self.log))
        return answer.stdout + answer.stderr

    def start(self, *parts: str, slow: float = 0) -> subprocess.Popen:
        """Start a command that the test does not wait for."""
        return subprocess.Popen(
            parts,
            cwd=self.folder,
            env=ENVIRONMENT | {"RAN": str(self.log), "SLOW": str(slow)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def commit(self, message: str) -> None:
        self.command("git", "add", "--all")
        self.command("git", "commit", "--quiet", "--message", message)

    def ran(self, tool: str) -> list[str]:
        """Run the pipeline; return the outputs of the stages that really ran, and check that nothing is left to do."""
        self.log.write_text("")
        printed = self.command(*self.tools[tool])
        assert tool == "dvc" or "Using workflow specific profile profiles/default" in printed
        if "Nothing to be done" not in printed:
            assert "Nothing to be done" in self.command("snakemake", "--dry-run")
        with Repo(self.folder) as repo:
            assert repo.status() == {}
        return sorted(self.log.read_text().split())

    def outputs(self) -> list[Path]:
        """Return the files that the stages made."""
        made = [self.path("joined.txt"), *self.path("clean").glob("*.txt"), *self.path("report").rglob("*")]
        return sorted(path for path in made if path.name != ".snakemake_timestamp")

    def check_cache(self) -> None:
        """Check that no object of DVC's cache was ever changed: its name is the hash of its content."""
        # What begins with a dot is a copy that DVC could not end.
        objects = [path for path in self.path(".dvc/cache/files/md5").glob("??/[!.]*") if path.is_file()]
        assert objects
        for path in objects:
            assert hashlib.md5(path.read_bytes()).hexdigest() == path.parent.name + path.stem, path

    def check_outputs(self) -> None:
        """Check that every output is what its inputs make: worked out here, not by the stages.

        And that dvc.lock names what any clone can have: nothing that a killed stage left counts in a folder's hash.
        """
        title = self.read("params.yaml").partition("join: ")[2].splitlines()[0]
        clean = ["".join(sorted(self.read(f"raw/{name}.csv").upper().splitlines(True))) for name in "ab"]
        joined = f"{title}\n{''.join(clean)}"
        expected = dict(zip(EVERYTHING, [*clean, joined, f"report\n{joined}"], strict=True))
        assert {name: self.read(name) for name in EVERYTHING} == expected
        deps = yaml.safe_load(self.read("dvc.lock"))["stages"]["join"]["deps"]
        listing = {
            f"{name}.txt": hashlib.md5(text.encode()).hexdigest() for name, text in zip("ab", clean, strict=True)
        }
        assert {dep["path"]: dep["md5"] for dep in deps}["clean"] == folder_hash(listing)

    def clone(self, folder: Path, *options: str) -> "Repository":
        """Clone the git repository of this folder; what DVC keeps is not in it."""
        run("git", "clone", "--quiet", *options, self.folder.as_uri(), folder, cwd=folder.parent)
        return Repository(folder, self.log)

    def copy(self, folder: Path) -> "Repository":
        shutil.copytree(self.folder, folder, symlinks=True)
        return Repository(folder)


def every_file(repository: Repository) -> list[Path]:
    """Return the files that are not git's or DVC's own."""
    files = [path for path in repository.folder.rglob("*") if path.is_file()]
    return [path for path in files if ".git" not in path.parts and ".dvc" not in path.parts]
