"""Put hostile deliveries into an inbox, each beside a good one: `make bench-hostile NUMBER=200`, about half an hour.

Reads
    a clone of this repository, as committed; the kinds of hostile_files.py and hostile_places.py
Writes
    Markdown tables to standard output, and every output of a run to <folder>/runs.log

`python scripts inbox` runs as the user nobody if this is started by root. After each run: no traceback, enough speed
and memory left, nothing outside the repository was read or changed, one clear message, and the good delivery is a drop.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import hostile_places  # noqa: F401  adds its kinds
from hostile_files import FILES, KINDS, Kind, Place
from trial import ROOT, UNSET, end_by_signal, scratch_left
from years import FIRST, Payers

MAX_SECONDS, MAX_MEGABYTES, MAX_LINE = 60, 1500, 2_000
NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
SECRET = "TOKEN=do-not-read-this"
MARKERS = (SECRET, "root:x:0:0", "root:*:")
BASE, HOSTILE, GOOD = (FIRST + timedelta(weeks=week) for week in range(3))


@dataclass
class Result:
    """What a run did with a hostile delivery."""

    kind: Kind
    outcome: str
    seconds: float
    megabytes: float
    faults: list[str] = field(default_factory=list)


class Campaign:
    """A repository with one drop, an inbox, and a folder outside in which nothing may change."""

    def __init__(self, folder: Path, slow: float) -> None:
        self.folder, self.slow = folder, slow
        self.place = Place(folder / "inbox", folder / "clone", folder / "outside")
        self.home, self.temporary = folder / "home", folder / "tmp"
        self.templates = [folder / "templates" / name for name in ("base", "hostile", "good")]
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(UNSET)} | {
            "CHURN_INBOX": str(self.place.inbox),
            "DVC_SITE_CACHE_DIR": str(self.home / "site"),
            "GIT_AUTHOR_NAME": "trial",
            "GIT_AUTHOR_EMAIL": "trial@localhost",
            "HOME": str(self.home),
            "LOGNAME": "nobody" if os.geteuid() == 0 else os.environ.get("LOGNAME", "trial"),
            # The user may have to run another Python than this one, with the same packages.
            "PYTHONPATH": sysconfig.get_path("purelib"),
            "TMPDIR": str(self.temporary),
        }
        self.user = AS_NOBODY if os.geteuid() == 0 else ()
        self.tool = (self.find_python(), "scripts")

    def find_python(self) -> str:
        """Return a Python that the user may run: this one may be in a folder of root."""
        try_it = "import subprocess, sys, duckdb; subprocess.run([sys.executable, '-c', ''], check=True)"
        version = ".".join(map(str, sys.version_info[:2]))
        for python in sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}":
            command = [*self.user, python, "-c", try_it]
            if subprocess.run(command, env=self.environment, cwd="/", capture_output=True, check=False).returncode == 0:
                return python
        sys.exit(f"The user nobody may not run {sys.executable}, nor is there a Python {version} in /usr/bin")

    def create(self) -> None:
        """Make the repository, with one drop, and the secret."""
        self.folder.chmod(0o755)
        subprocess.run(["git", "clone", "--quiet", ROOT, self.place.clone], check=True)
        for path in self.place.inbox, self.place.outside, self.home, self.temporary:
            path.mkdir()
        self.place.secret.write_text(f"{SECRET}\n" * 100)
        payers = Payers(3, 300)
        for week, path in enumerate(self.templates):
            payers.deliver(week, path)
        self.give_away()
        for command in (*self.tool, "clear_demo"), (*self.tool, "inbox"):
            shutil.copytree(self.templates[0], self.place.inbox / "base", dirs_exist_ok=True)
            self.give_away()
            code, _, _, printed = self.run(*command)
            assert code == 0, printed
        self.git("add", "--all")
        self.git("-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "--message", "Base")

    def git(self, *arguments: str) -> None:
        """Call git in the repository, whose owner is another user."""
        subprocess.run(["git", "-c", "safe.directory=*", *arguments], cwd=self.place.clone, check=True)

    def give_away(self) -> None:
        """Let the user nobody own everything, links too."""
        if os.geteuid() == 0:
            places = [self.place.clone, self.place.inbox, self.place.outside, self.home, self.temporary]
            subprocess.run(["chown", "--recursive", "--no-dereference", f"{NOBODY}:{NOBODY}", *places], check=True)

    def run(self, *command: str) -> tuple[int, float, float, str]:
        """Run a command as the user nobody; return exit code, seconds, MB and what it printed. -9: it took too long."""
        began, path = time.monotonic(), self.folder / "output"
        with path.open("wb") as output:
            process = subprocess.Popen(
                [*self.user, *command],
                cwd=self.place.clone,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            late = threading.Timer(MAX_SECONDS * self.slow, os.killpg, (process.pid, signal.SIGKILL))
            late.start()
            _, status, used = os.wait4(process.pid, 0)
            late.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        return process.returncode, seconds, used.ru_maxrss / 1000, path.read_bytes().decode(errors="surrogateescape")

    def reset(self) -> None:
        """Empty the inbox, and remove all drops but the first."""
        subprocess.run(["chmod", "--recursive", "u+rwX", self.place.inbox], check=False, stderr=subprocess.DEVNULL)
        for path in self.place.inbox, *(self.place.inbox.parent / name for name in ("elsewhere",)), self.temporary:
            subprocess.run(["rm", "-rf", path], check=True)
        for path in self.place.inbox, self.temporary:
            path.mkdir()
        subprocess.run("rm -rf data/raw/2015-07-05* data/raw/2015-07-12*", shell=True, cwd=self.place.clone, check=True)
        self.git("checkout", "--force", "--quiet", ".")
        self.git("clean", "--quiet", "--force", "-d")

    def try_kind(self, kind: Kind, seed: int) -> Result:
        """Ingest a hostile delivery and a good one, and return what happened."""
        self.reset()
        hostile, good = self.place.inbox / "hostile", self.place.inbox / "good"
        for template, path in zip(self.templates[1:], (hostile, good), strict=True):
            shutil.copytree(template, path)
        act = kind.make(hostile, random.Random(seed), self.place)
        self.give_away()
        before, stop = snapshot(self.place.outside), threading.Event()
        thread = threading.Thread(target=act, args=(stop,)) if callable(act) else None
        if thread:
            thread.start()
        code, seconds, megabytes, printed = self.run(*self.tool, "inbox", "--stable-minutes", "0")
        stop.set()
        if thread:
            thread.join()
        result = Result(kind, self.outcome(code), seconds, megabytes)
        result.faults = [
            *self.judge_run(code, result, printed),
            *self.judge_files(result, before),
        ]
        with (self.folder / "runs.log").open("a", errors="backslashreplace") as log:
            log.write(
                f"\n==== {kind.name}, seed {seed}: {result.outcome}, exit code {code}, {result.faults}\n{printed}"
            )
        return result

    def outcome(self, code: int) -> str:
        """Return what became of the hostile delivery."""
        listed = (self.place.clone / "data/drops.yaml").read_bytes() if self.is_regular("data/drops.yaml") else b""
        rejected = self.place.inbox / "rejected"
        asides = [path.name for path in rejected.iterdir()] if rejected.is_dir() and not rejected.is_symlink() else []
        if str(HOSTILE).encode() in listed:
            return "ingested"
        if asides:
            return "left" if any(name.endswith(".in-inbox") for name in asides) else "rejected"
        if code and (self.place.inbox / "good").exists():
            return "refused"
        names = {path.name for path in self.place.inbox.iterdir() if not path.name.startswith(".")} - {"good"}
        return "waits" if names else "gone"

    def is_regular(self, name: str) -> bool:
        """Return whether there is a regular file, which is no link."""
        path = self.place.clone / name
        return path.is_file() and not path.is_symlink()

    def judge_run(self, code: int, result: Result, printed: str) -> list[str]:
        """Return what is wrong with how a run ended, and with what it printed."""
        faults, lines = [], printed.splitlines()
        errors = [line for line in lines if line.startswith("ERROR:")]
        if "Traceback" in printed:
            faults.append("a traceback: " + (lines[-1][:150] if lines else ""))
        elif code not in (0, 1):
            faults.append("took too long" if code == -signal.SIGKILL else f"exit code {code}")
        elif len(errors) != code:
            faults.append(f"exit code {code}, and {len(errors)} lines with ERROR")
        if result.megabytes > MAX_MEGABYTES:
            faults.append(f"{result.megabytes:.0f} MB")
        if odd := {char for char in printed if not char.isprintable() and char != "\n"}:
            faults.append(f"prints {sorted(odd)}")
        if any(len(line) > MAX_LINE for line in lines):
            faults.append(f"a line of {max(map(len, lines))} characters")
        if result.outcome not in result.kind.right:
            faults.append(f"{result.outcome}: {(errors or lines or [''])[-1][:150]}")
        return faults + [f"shows {marker}" for marker in MARKERS if marker in printed]

    def judge_files(self, result: Result, before: dict[str, str]) -> list[str]:
        """Return what is wrong with the files after a run."""
        faults = [] if snapshot(self.place.outside) == before else ["changed a file outside the repository"]
        if result.kind.good_is_ingested:
            drop = self.place.clone / "data/raw" / str(GOOD)
            if not all(same(drop / name, self.templates[2] / name) for name in FILES):
                faults.append("the good delivery is not ingested")
        reasons = list(self.place.inbox.glob("rejected/*/reason.txt"))
        # With settings that fit no delivery, the good one is rejected too.
        right = 1 if result.kind.good_is_ingested else 2
        if result.outcome in ("rejected", "left") and len(reasons) != right:
            faults.append(f"{len(reasons)} reasons")
        for path in reasons:
            # Examples of rows are in the other lines, which are not sent; a hard link's content is the sender's own.
            reason = path.read_text(errors="replace")
            shown = reason.partition("\n")[0] if result.kind.name == "hard_link_to_a_secret" else reason
            if not reason.partition("\n")[0].isprintable() or any(marker in shown for marker in MARKERS):
                faults.append("an unclear reason")
        for path in (self.place.clone / "data/raw").rglob("*.csv"):
            if path.is_file() and any(marker.encode() in path.read_bytes() for marker in MARKERS):
                faults.append(f"a secret is in {path.parent.name}")
        if left := scratch_left(self.place.clone):
            faults.append(f"leaves {left}")
        if left := [path.name for path in self.temporary.iterdir()]:
            faults.append(f"leaves {left} in the temporary folder")
        return faults


def same(one: Path, other: Path) -> bool:
    """Return whether two files exist and have the same bytes."""
    return one.is_file() and one.read_bytes() == other.read_bytes()


def snapshot(folder: Path) -> dict[str, str]:
    """Return the content, mode and time of each file in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        stat, content = path.lstat(), path.read_bytes() if path.is_file() else b""
        found[path.name] = f"{stat.st_mode} {stat.st_uid} {stat.st_mtime_ns} {hashlib.md5(content).hexdigest()}"
    return found


def report(results: list[Result]) -> None:
    """Print a row for each kind, one for each group, and the faults."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[result.kind.group].append(result)
    print("\n| kind | number | outcome | seconds, at most | MB, at most | faults |\n|---|---|---|---|---|---|")
    for group, own in [*groups.items(), ("all", results)]:
        outcomes = ", ".join(f"{number} {name}" for name, number in Counter(one.outcome for one in own).most_common())
        most = f"{max(one.seconds for one in own):.1f} | {max(one.megabytes for one in own):.0f}"
        print(f"| {group} | {len(own)} | {outcomes} | {most} | {sum(bool(one.faults) for one in own)} |")
    for (name, fault), number in Counter((one.kind.name, fault) for one in results for fault in one.faults).items():
        print(f"\n- {name} ({number} times): {fault!a}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("number", type=int, nargs="?", default=200, help="number of deliveries (200)")
    parser.add_argument("--only", default="", help="only the kinds whose name or group contains this")
    parser.add_argument("--seed", type=int, default=1, help="a different seed gives different deliveries (1)")
    parser.add_argument("--slow", type=float, default=1, help="how many times slower a busy machine is (1)")
    args = parser.parse_args()
    end_by_signal()
    kinds = [one for one in KINDS if args.only in one.name or args.only in one.group]
    folder = Path(tempfile.mkdtemp())
    campaign, results = Campaign(folder, args.slow), []
    try:
        campaign.create()
        for number in range(args.number):
            kind = kinds[number % len(kinds)]
            results.append(campaign.try_kind(kind, args.seed * 10_000 + number))
            one = results[-1]
            print(f"{number} {kind.name}: {one.outcome} {one.seconds:.1f} s {one.faults or ''}", file=sys.stderr)
    finally:
        if results:
            report(results)
        print(f"\nWhat each run printed: {folder}/runs.log", file=sys.stderr)
        campaign.reset()
        subprocess.run(["rm", "-rf", *(path for path in folder.iterdir() if path.name != "runs.log")], check=True)


if __name__ == "__main__":
    main()
