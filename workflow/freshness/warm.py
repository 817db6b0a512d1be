"""The DVC process of a run: DVC is imported and the repository loaded once, for all jobs.

The main Snakemake process starts it, asks it what is stale, and keeps it while anything is. Each job asks it for one
stage (`run_stage.py`). A fork with a session of its own answers, with the job's files, environment and niceness; it has
all that is loaded, and leaves this process as it is. When the main process ends, running jobs are served to their end.
"""

import argparse
import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import socketserver
import sys
import threading
from typing import Any

# DVC imports these late, in every stage; here, once.
import dulwich.index  # noqa: F401
import dvc_data.hashfile.status  # noqa: F401
import fsspec.implementations.memory  # noqa: F401
from dvc.exceptions import DvcException
from dvc.ui import ui

from .ask_dvc import RefusalError, ask_dvc
from .dvc_job import bring_up_to_date
from .loaded import Loaded
from .state import FAILURES, SOCKET, explain
from .steps import Step, read_plan

# Most jobs that can run at once.
MOST_JOBS = 10_000


class Job(socketserver.BaseRequestHandler):
    """A job's request, served in a fork."""

    server: "Jobs"

    def handle(self) -> None:
        """Bring the stage up to date, and send the exit code."""
        if not self.server.loaded:
            self.request.sendall(f"{self.server.refusal}\n".encode())
            return
        os.setsid()
        self.server.close_here()
        text, files, _, _ = socket.recv_fds(self.request, 65536, 3)
        self.request.sendall(f"{os.getpid()}\n".encode())
        with self.request.makefile() as rest:
            asked = json.loads(text.decode() + ("" if text.endswith(b"\n") else rest.readline()))
        take_over(asked, files)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=self.end_with_client, daemon=True).start()
        # What DVC shows to others as the holder of its locks.
        sys.argv = ["snakemake", "job", asked["name"]]
        code = bring_up_to_date(self.server.loaded, asked["name"], self.server.plan)
        sys.stdout.flush()
        sys.stderr.flush()
        self.request.sendall(f"{code}\n".encode())

    def end_with_client(self) -> None:
        """End the session if the job is killed: Snakemake takes the stage for failed, and nobody waits for it."""
        if not self.request.recv(1):
            os.killpg(0, signal.SIGKILL)


def take_over(asked: dict[str, Any], files: list[int]) -> None:
    """Give this process the job's standard files, environment, niceness and limits."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.setpriority(os.PRIO_PROCESS, 0, asked["niceness"])
    os.umask(asked["umask"])
    for number, limits in asked["limits"]:
        # A job in a container may have more than can be given here.
        with contextlib.suppress(ValueError):
            resource.setrlimit(number, limits)


class Jobs(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """The server of the jobs; a fork for each.

    Parameters
    ----------
    listener
        The socket to which jobs connect.
    main
        The connection to the main process; when it closes, no more jobs are accepted.
    loaded
        The loaded repository, None if DVC refused.
    refusal
        Why DVC refused.
    """

    max_children = MOST_JOBS

    def __init__(self, listener: socket.socket, main: socket.socket, loaded: Loaded | None, refusal: str = ""):
        super().__init__(str(SOCKET), Job, bind_and_activate=False)
        self.socket.close()
        self.socket, self.main, self.loaded, self.refusal = listener, main, loaded, refusal
        self.plan: dict[str, Step] = {}

    def serve(self) -> None:
        """Serve until the main process ends, then wait for the jobs that run."""
        inode = SOCKET.stat().st_ino
        # The forks share what is loaded by now: nothing of it is ever collected.
        gc.freeze()
        while self.main not in select.select([self.main, self.socket], [], [])[0]:
            self.handle_request()
            self.service_actions()
        # The next run may listen here by now.
        with contextlib.suppress(FileNotFoundError):
            if SOCKET.stat().st_ino == inode:
                SOCKET.unlink()
        self.server_close()

    def verify_request(self, *_: object) -> bool:
        """Read the plan once, and the definitions again if they have changed; where that fails, the job says why."""
        self.plan = self.plan or read_plan()
        with contextlib.suppress(DvcException):
            if self.loaded:
                self.loaded.refresh()
        return True

    def close_here(self) -> None:
        """Close in a fork what only this process needs."""
        self.socket.close()
        self.main.close()


def serve(arguments: argparse.Namespace) -> int:
    """Answer the main process, then serve its jobs; the arguments are those of the command `warm`."""
    # Ctrl+C is for the jobs, which stop their stages.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ui.enable()
    with socket.socket(fileno=arguments.main) as connection, socket.socket(fileno=arguments.listener) as listener:
        loaded, refusal = None, ""
        try:
            loaded, answer = ask_dvc(arguments.wait, arguments.status, arguments.pull)
        except RefusalError as error:
            refusal = " ".join(str(error).split())
            answer = {"refusal": str(error)}
        except FAILURES as error:
            refusal = explain(error)
            answer = {"refusal": refusal}
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(json.dumps(answer).encode() + b"\n")
        Jobs(listener, connection, loaded, refusal).serve()
    return 0
