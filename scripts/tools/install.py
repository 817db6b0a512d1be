"""Install what the locks pin into .venv: requirements.lock, and requirements-EXTRA.lock for each extra asked for.

Needs nothing but Python: `make install` runs it before any package is there.

Reads
    requirements.lock, requirements-test.lock, requirements-docs.lock, requirements-notebook.lock; the package index
Writes
    .venv, with a copy of each installed lock, which `make` compares to skip this script when nothing changed
"""

import argparse
import contextlib
import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

# Up to here, and in its syntax, this file must suit an older Python, which then says what is needed.
if sys.version_info < (3, 11):  # noqa: UP036
    found = ".".join(map(str, sys.version_info[:3]))
    sys.exit(f"ERROR: Python 3.11 or newer is needed; {sys.executable} is {found}. Try: make install PYTHON=python3.12")

ROOT = Path(__file__).resolve().parents[2]
MAIN_LOCK = Path("requirements.lock")
# Not that of the containers: it is a part of the main lock.
EXTRAS = sorted({path.stem.partition("-")[2] for path in ROOT.glob("requirements-*.lock")} - {"servers"})
VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
# Present while packages change. If it was left behind, the install was killed and .venv is not to be trusted.
UNFINISHED = VENV / "installing"
# Settings of pip that uv does not read, for those who reach packages through a mirror.
PIP_SETTINGS = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}
# Where `pip config list` finds them: the sections of its files, then the environment. The last one wins.
PIP_PRECEDENCE = ("global", "install", ":env:")


def install(extras: list[str]) -> None:
    """Install the main lock and some extras; keep extras installed earlier at the versions that go with it."""
    with one_at_a_time() as turn:
        wanted = [extra for extra in EXTRAS if extra in extras or (VENV / lock_of(extra)).exists()]
        locks = [MAIN_LOCK, *map(lock_of, wanted)]
        if UNFINISHED.exists():
            print("The last install was interrupted: starting again (downloaded packages are kept).", flush=True)
            clear_venv()
        elif not runs():
            clear_venv()
        if not PYTHON.exists():
            make_venv(turn)
        before = state_of_packages()
        UNFINISHED.touch()
        if not install_locks(locks, turn):
            # uv downloads everything before it changes anything. A .venv as it was before is still good.
            if state_of_packages() == before:
                UNFINISHED.unlink()
            sys.exit(
                "ERROR: installing failed; the message above says why. Offline? Connect, then run the same command "
                "again: what is downloaded is kept."
            )
        for lock in locks:
            shutil.copyfile(lock, VENV / lock)
        UNFINISHED.unlink()


@contextlib.contextmanager
def one_at_a_time() -> Iterator[TextIO]:
    """Wait until no other install works on this .venv; yield what holds the turn."""
    with MAIN_LOCK.open("r+") as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another install to finish.", flush=True)
            fcntl.flock(turn, fcntl.LOCK_EX)
        yield turn


def lock_of(extra: str) -> Path:
    """Return the lock of an extra."""
    return MAIN_LOCK.with_stem(f"{MAIN_LOCK.stem}-{extra}")


def runs() -> bool:
    """Return whether the Python of .venv runs and is new enough; it does not after the system's was removed."""
    test = "import sys; sys.exit(sys.version_info < (3, 11))"
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", test], capture_output=True).returncode == 0


def clear_venv() -> None:
    """Remove what is in .venv; the mark of an unfinished install goes last, with the next one that succeeds."""
    if VENV.exists():
        UNFINISHED.touch()
        for path in VENV.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != UNFINISHED:
                path.unlink()


def make_venv(turn: TextIO) -> None:
    """Make an empty .venv."""
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit("ERROR: this Python cannot make .venv. On Debian and Ubuntu: sudo apt install python3-venv")
    VENV.mkdir(exist_ok=True)
    UNFINISHED.touch()
    # The Python that runs this may be the one of a .venv that was just cleared.
    python = getattr(sys, "_base_executable", sys.executable)
    command = [python, "-m", "venv", str(VENV)]
    # Collected, as it prints a traceback on Ctrl-C.
    answer = subprocess.run(
        command, pass_fds=[turn.fileno()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if answer.returncode:
        sys.exit(f"{answer.stdout}\nERROR: {python} could not make .venv; the message above says why")


def install_locks(locks: list[Path], turn: TextIO) -> bool:
    """Install locks by uv: the one on PATH, or the one that the main lock pins. Return whether it succeeded."""
    uv = find_uv()
    if uv is None:
        print("Installing uv, which installs the rest.", flush=True)
        pinned = VENV / "uv.txt"
        pinned.write_text(re.search(r"^uv==(?:.*\\\n)*.*\n", MAIN_LOCK.read_text(), re.MULTILINE)[0])
        options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--requirement", pinned)
        if call([PYTHON, "-m", "pip", "install", *options], turn):
            return False
        uv = str(VENV / "bin" / "uv")
    # Not `uv pip sync`: it would remove what users add, such as the Snakemake plugin of their cluster.
    # Compiled once, here: where Python may not write bytecode, as in most containers, each process would compile again
    # all that it imports, and take twice as long to start.
    command = [uv, "pip", "install", "--python", PYTHON, "--no-deps", "--require-hashes", "--compile-bytecode"]
    options = [part for lock in locks for part in ("--requirement", lock)]
    return call([*command, *options], turn, **settings_of_pip()) == 0


def find_uv() -> str | None:
    """Return a uv that runs, if there is one; pyenv's may be of another Python, and does not."""
    uv = shutil.which("uv", path=f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return uv if uv and subprocess.run([uv, "--version"], capture_output=True).returncode == 0 else None


def settings_of_pip() -> dict[str, str]:
    """Return uv's variables for the settings that this machine has for pip, unless uv has its own."""
    answer = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True)
    found = re.findall(r"^(\S+?)\.(\S+)='(.+)'$", answer.stdout, re.MULTILINE)
    values = {name: value for part in PIP_PRECEDENCE for section, name, value in found if section == part}
    return {ours: values[pips] for pips, ours in PIP_SETTINGS.items() if pips in values and ours not in os.environ}


def state_of_packages() -> list[int]:
    """Return what changes when a package comes or goes: the times of the folders that hold them."""
    return [path.stat().st_mtime_ns for path in sorted(VENV.glob("lib/python*/site-packages"))]


def call(command: list[object], turn: TextIO, **environment: str) -> int:
    """Run a command that writes to .venv. If this script is killed, the command still holds its turn."""
    return subprocess.run(list(map(str, command)), pass_fds=[turn.fileno()], env=os.environ | environment).returncode


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help=f"one or more of: {', '.join(EXTRAS)}")
    extras = parser.parse_args().extras
    unknown = sorted(set(extras) - set(EXTRAS))
    if unknown:
        parser.error(f"unknown extra: {', '.join(unknown)}. Use one of: {', '.join(EXTRAS)}")
    os.chdir(ROOT)
    try:
        install(extras)
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. To finish, run the same command again: what is downloaded is kept.")


if __name__ == "__main__":
    main()
