"""A real MLflow server on a store that the tests have filled."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from conftest import ENVIRONMENT, free_port


@contextlib.contextmanager
def run_server(database: Path, *more: str, **variables: str):
    """Serve a store on a free port, with more options and variables; yield its address."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    options = ("--backend-store-uri", f"sqlite:///{database}", "--host", "127.0.0.1", "--workers", "1", *more)
    command = [sys.executable, "-m", "mlflow", "server", *options, "--port", str(port)]
    with Path("server.log").open("w") as log:
        # Otherwise it starts another process, for jobs that the tests do not use.
        environment = ENVIRONMENT | variables | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 180
        while not answers(f"http://{address}/health"):
            assert server.poll() is None and time.monotonic() < deadline, Path("server.log").read_text()
            time.sleep(0.2)
        yield f"http://{address}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=1).status == 200
    except OSError:
        return False
