"""A repository with a stack of its own, for the campaigns: a clone with small weekly drops and free ports.

What it leaves in folders for temporary files is in a folder of its own, so that it can be counted.
"""

import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
from years import Payers

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

from churn.stack.settings import DEFAULTS  # noqa: E402  only now can it be found

# A grid of two points and two folds are a search.
SMALLER = {"regParam: [0.1, 0.03, 0.003]": "regParam: [0.03, 0.003]", "folds: 3 ": "folds: 2 "}
UNSET = ("MLFLOW_", "AWS_", "CHURN_", "SPARK_", "DRIFT_", "DVC_", "MINIO_", "MAKE", "MFLAGS")
TOOL, STEP = (sys.executable, "scripts"), re.compile(r"scripts/(\w+)\.py$")


class Trial:
    """A clone, its inbox, and the processes that work for it."""

    def __init__(self, folder: Path, users: int, weeks: int) -> None:
        self.folder, self.clone, self.inbox, self.temporary = folder, folder / "clone", folder / "inbox", folder / "tmp"
        self.log = folder / "commands.log"
        self.payers, self.delivered = Payers(weeks, users), 0
        author = {
            f"GIT_{who}_{what}": "trial@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(UNSET)} | author
        self.environment |= {
            "CHURN_INBOX": str(self.inbox),
            "TMPDIR": str(self.temporary),
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"], str(ROOT / ".tools"))),
        }

    def create(self) -> None:
        """Clone the last commit, without the demo's drops and with a small grid."""
        for path in self.inbox, self.temporary:
            path.mkdir(parents=True)
        subprocess.run(["git", "clone", "--quiet", ROOT, self.clone], check=True)
        (self.clone / ".venv").symlink_to(Path(sys.executable).parents[1])
        self.run(*TOOL, "clear_demo")
        for default, small in SMALLER.items():
            self.edit("params.yaml", default, small)

    def edit(self, name: str, before: str, after: str) -> None:
        """Replace the only occurrence of a text in a file."""
        text = (self.clone / name).read_text()
        if text.count(before) != 1:
            sys.exit(f"{name} has {text.count(before)} times {before!r}; it should have it once")
        (self.clone / name).write_text(text.replace(before, after))

    def deliver(self) -> None:
        """Put the next week's delivery into the inbox."""
        self.payers.deliver(self.delivered, self.inbox / f"{self.delivered:04}")
        self.delivered += 1

    def start_stack(self) -> None:
        """Choose free ports, and start the stack."""
        ports = "".join(f"{name}={free_port()}\n" for name in DEFAULTS if name.endswith("_PORT"))
        (self.clone / ".env").write_text(ports)
        self.run(*TOOL, "up")

    def begin(self, *command: str) -> subprocess.Popen:
        """Start a command in the clone, and return while it runs; what it prints is added to the log."""
        with self.log.open("a") as log:
            log.write(f"\n$ {shlex.join(command)}\n")
            log.flush()
            return subprocess.Popen(
                command, cwd=self.clone, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def try_run(self, *command: str) -> tuple[int, float, str]:
        """Run a command, and return its exit code, its seconds and what it printed."""
        at, began = self.log.stat().st_size if self.log.exists() else 0, time.monotonic()
        code = self.begin(*command).wait()
        with self.log.open(errors="replace") as log:
            log.seek(at)
            return code, time.monotonic() - began, log.read()

    def run(self, *command: str) -> float:
        """Run a command that must succeed, and return its seconds."""
        code, seconds, printed = self.try_run(*command)
        if code:
            sys.exit(f"{shlex.join(command)} failed, see {self.log}:\n{printed[-3000:]}")
        return seconds

    def processes(self) -> list[psutil.Process]:
        """Return the processes that work in the clone or for it."""
        own = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
        return [process for process in psutil.process_iter() if process.pid not in own and self._owns(process)]

    def _owns(self, process: psutil.Process) -> bool:
        place = str(self.folder)
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            # Services may be started without the caller's variables, but all have the folder somewhere.
            said = [process.cwd(), *process.cmdline(), process.environ().get("TMPDIR", "")]
        except psutil.Error:
            return False
        return any(place in one for one in said)

    def steps(self) -> list[str]:
        """Return the scripts that run now."""
        found = set()
        for process in self.processes():
            try:
                found |= {match[1] for part in process.cmdline() if (match := STEP.search(part))}
            except psutil.Error:
                continue
        return sorted(found - {"dashboard"})

    def kill_all(self) -> int:
        """Kill all processes of the clone with SIGKILL, the supervisor first; return how many there were."""
        killed: set[int] = set()
        while found := self.processes():
            # None of them may see that another is gone, as when a machine loses its power.
            for process in found:
                _signal(process, "suspend")
            for process in found:
                _signal(process, "kill")
            killed |= {process.pid for process in found}
            psutil.wait_procs(found, timeout=5)
        return len(killed)


def _signal(process: psutil.Process, name: str) -> None:
    with suppress(psutil.NoSuchProcess):
        getattr(process, name)()


def end_by_signal() -> None:
    """Let SIGTERM end this process as an exception, so that it stops the stack and removes its folders."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped"))


def free_port() -> int:
    """Return a port on which nothing listens, and that the system gives to no connection."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def scratch_left(clone: Path) -> list[str]:
    """Return the scratch folders of killed processes."""
    skipped = {".git", ".venv", ".stack"}
    found = []
    for path, folders, _ in os.walk(clone):
        folders[:] = [name for name in folders if name not in skipped]
        found += [str(Path(path, name).relative_to(clone)) for name in folders if name.startswith(".writing-")]
    return found
