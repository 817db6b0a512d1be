"""A small pipeline of fast stages with the real bridge, and what really ran in it."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from conftest import ENVIRONMENT, ROOT, run

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
# Every stage writes to a log outside that it ran. Cleaning sorts and upper-cases, so that some changes are undone.
CLEAN = """
import os, sys
from pathlib import Path
source, output = map(Path, sys.argv[1:])
with open(os.environ["RAN"], "a") as log:
    log.write(f"{output}\\n")
output.parent.mkdir(exist_ok=True)
output.write_text("".join(sorted(source.read_text().upper().splitlines(True))))
"""
COLLECT = """
import os, sys
from pathlib import Path
from words import headed
output, title, *sources = sys.argv[1:]
with open(os.environ["RAN"], "a") as log:
    log.write(f"{output}\\n")
Path(output).parent.mkdir(exist_ok=True)
Path(output).write_text(headed(title, [Path(source).read_text() for source in sources]))
"""
WORDS = '''
def headed(title, texts):
    """Return texts below a title."""
    return title + "\\n" + "".join(texts)
'''
SNAKEFILE = """
import sys
sys.path.insert(0, f"{workflow.basedir}/workflow")
from freshness import Freshness
fresh = Freshness(workflow)
onsuccess:
    fresh.tell_outcomes()
rule report:
    input: fresh.stage("report")
    output: directory("report")
    shell: "python workflow/run_stage.py report"
rule join:
    input: fresh.stage("join")
    output: "joined.txt"
    shell: "python workflow/run_stage.py join"
rule clean:
    input: fresh.stage("clean@{name}")
    output: "clean/{name}.txt"
    shell: "python workflow/run_stage.py clean@{wildcards.name}"
rule track:
    input: fresh.stage("raw/{name}.csv.dvc")
    output: update("raw/{name}.csv.dvc")
    shell: "python workflow/run_stage.py {output}"
"""
IGNORED = "/clean\n/joined.txt\n/report\n/raw/*.csv\n.snakemake\n__pycache__\n"
FILES = {
    "dvc.yaml": DVC_YAML,
    "Snakefile": SNAKEFILE,
    "params.yaml": "join: all\nother: 1\n",
    "clean.py": CLEAN,
    "collect.py": COLLECT,
    "words.py": WORDS,
    "raw/a.csv": "x\ny\n",
    "raw/b.csv": "z\n",
    ".gitignore": IGNORED,
    ".dvcignore": "__pycache__\n.snakemake_timestamp\n",
}
BELOW_A = ["clean/a.txt", "joined.txt", "report/all.txt"]
EVERYTHING = ["clean/a.txt", "clean/b.txt", "joined.txt", "report/all.txt"]
DOORS = {"dvc": ("dvc", "repro"), "snakemake": ("snakemake", "--cores", "2")}


class Repository:
    """A repository of DVC and git in a folder; `log` is the file to which its stages write that they ran."""

    def __init__(self, folder: Path, log: Path | None = None):
        self.folder, self.log = folder, log or folder.parent / "ran.log"

    def create(self, files: dict[str, str] = FILES, track: tuple[str, ...] = ("raw/a.csv", "raw/b.csv")) -> None:
        for name, text in files.items():
            self.write(name, text)
        shutil.copytree(ROOT / "workflow" / "profiles", self.folder / "profiles")
        (self.folder / "workflow").mkdir()
        for module in (ROOT / "workflow").glob("*.py"):
            shutil.copy(module, self.folder / "workflow")
        self.command("git", "init", "--quiet", "--initial-branch", "main")
        self.command("dvc", "init", "--quiet")
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

    def start(self, *parts: str) -> subprocess.Popen:
        """Start a command that the test does not wait for, in a session of its own."""
        return subprocess.Popen(
            parts,
            cwd=self.folder,
            env=ENVIRONMENT | {"RAN": str(self.log)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def commit(self, message: str) -> None:
        self.command("git", "add", "--all")
        self.command("git", "commit", "--quiet", "--message", message)

    def ran(self, door: str) -> list[str]:
        """Go through a door; return the outputs of the stages that really ran, and check that nothing is left."""
        self.log.write_text("")
        printed = self.command(*DOORS[door])
        assert door == "dvc" or "Using workflow specific profile profiles/default" in printed
        self.check_finished()
        return sorted(self.log.read_text().split())

    def outputs(self) -> list[Path]:
        """Return the files that the stages made."""
        made = [self.path("joined.txt"), *self.path("clean").iterdir(), *self.path("report").rglob("*")]
        return sorted(path for path in made if path.name != ".snakemake_timestamp")

    def check_finished(self) -> None:
        """Check that neither door has anything left to do."""
        assert "Nothing to be done" in self.command("snakemake", "--dry-run")
        assert "up to date" in self.command("dvc", "status")

    def check_cache(self) -> None:
        """Check that no object of DVC's cache was ever changed: its name is the hash of its content."""
        objects = [path for path in (self.path(".dvc/cache/files/md5")).rglob("*") if path.is_file()]
        assert objects
        for path in objects:
            assert hashlib.md5(path.read_bytes()).hexdigest() == path.parent.name + path.stem, path

    def copy(self, folder: Path) -> "Repository":
        shutil.copytree(self.folder, folder, symlinks=True)
        return Repository(folder)


def every_file(repository: Repository) -> list[Path]:
    """Return the files that are not git's or DVC's own."""
    files = [path for path in repository.folder.rglob("*") if path.is_file()]
    return [path for path in files if ".git" not in path.parts and ".dvc" not in path.parts]
