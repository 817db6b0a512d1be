"""The main Snakemake process's side of the run's DVC process (`warm.py`)."""

import json
import socket
import subprocess
from typing import Any

from .state import SOCKET, command

# Jobs that wait to be accepted while DVC loads.
BACKLOG = 4096


class DvcProcess:
    """The process in which DVC is loaded for this run; it ends when this object is closed or this process ends.

    Parameters
    ----------
    status
        Whether it compares contents with what DVC recorded; without, it only loads what jobs need.
    wait
        Seconds that it waits for another DVC.
    pull
        Whether it may fetch the lists of missing folders' files.
    """

    def __init__(self, status: bool, wait: int, pull: bool):
        SOCKET.unlink(missing_ok=True)
        self._connection, other = socket.socketpair()
        with other, socket.socket(socket.AF_UNIX) as listener:
            # Jobs may connect from now on; it accepts them when DVC is loaded.
            listener.bind(str(SOCKET))
            listener.listen(BACKLOG)
            sockets = [other.fileno(), listener.fileno()]
            arguments = [
                *map(str, sockets),
                str(wait),
                *(["--status"] if status else []),
                *(["--pull"] if pull else []),
            ]
            self._process = subprocess.Popen(
                command("warm", *arguments),
                stdin=subprocess.DEVNULL,
                pass_fds=sockets,
                start_new_session=True,
            )

    def answer(self) -> dict[str, Any]:
        """Wait for what DVC knows."""
        with self._connection.makefile() as answers:
            line = answers.readline()
        if not line:
            return {"refusal": f"DVC's process ended with exit code {self._process.wait()}; see above. Try again."}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let it end: nothing is left to do for it."""
        self._connection.close()
