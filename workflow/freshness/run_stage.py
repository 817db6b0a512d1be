"""The job of a rule that runs a stage of dvc.yaml, or updates a pointer (a `.dvc` file)."""

import contextlib
import json
import os
import resource
import signal
import socket
import sys
from types import FrameType

from .locks import is_locked, remove_dead_rwlock
from .state import SOCKET, command

ENDED = (
    "ERROR: the DVC process of this run has ended; it may have been killed. Run snakemake again: it goes on from here."
)
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIMITS = [number for name, number in vars(resource).items() if name.startswith("RLIMIT_")]
# The exit code of a process that was killed, as shells have it.
KILLED = 128 + signal.SIGKILL


def run_stage(name: str) -> int:
    """Bring a stage or pointer up to date with DVC, in a session of its own; return the exit code.

    If DVC is killed, stop what it had started: an orphan stage would go on writing.
    """
    connection = connect()
    return ask_warm(connection, name) if connection else run_alone(name)


def connect() -> socket.socket | None:
    """Return a connection to the run's DVC process, None where there is none, as on another node."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(SOCKET))
    except FileNotFoundError:
        return None
    except ConnectionRefusedError:
        if is_locked():
            sys.exit(ENDED)
        return None
    return connection


def ask_warm(connection: socket.socket, name: str) -> int:
    """Have the run's DVC process run the stage, in a fork that answers first with its number and then with the code."""
    # A signal that comes before there is a session to pass it on to waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    umask = os.umask(0)
    os.umask(umask)
    request = {
        "name": name,
        "environment": dict(os.environ),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "umask": umask,
        "limits": [(number, resource.getrlimit(number)) for number in LIMITS],
    }
    text = json.dumps(request).encode() + b"\n"
    with connection, connection.makefile() as answers:
        try:
            sent = socket.send_fds(connection, [text], [0, 1, 2])
            connection.sendall(text[sent:])
            pid = answers.readline()
        except ConnectionError:
            pid = ""
        if not pid.strip().isdigit():
            sys.exit(f"ERROR: {pid.strip()}" if pid else ENDED)
        pass_signals_to(int(pid))
        code = answers.readline()
    return end_session(int(pid), int(code) if code else KILLED)


def run_alone(name: str) -> int:
    """Run the stage with a DVC process of its own."""
    import subprocess

    process = subprocess.Popen(command("alone", name), start_new_session=True)
    pass_signals_to(process.pid)
    code = process.wait()
    return end_session(process.pid, code if code >= 0 else 128 - code)


def pass_signals_to(session: int) -> None:
    """Pass on the signals that stop this process to the session of the stage, and wait for its end."""

    def pass_on(number: int, _: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session, number)

    for number in STOPPING:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def end_session(session: int, code: int) -> int:
    """Stop what DVC left running in its session, and clear its locks if it was killed; return the exit code."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)
    if code > 128:
        remove_dead_rwlock()
    return code
