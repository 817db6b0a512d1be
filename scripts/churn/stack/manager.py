"""Run the stack's services under supervisor: a log for each, restarts when one dies, one command to stop all."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from churn.base.command import UserError
from churn.base.files import write_whole
from churn.base.private import read_umask
from churn.stack.minio import install_minio
from churn.stack.postgres import prepare_postgres
from churn.stack.services import Service
from churn.stack.settings import Settings
from churn.stack.variables import machine_variables

# The folder of `python scripts serve NAME`.
PROGRAMS = Path(__file__).parents[2]
STOP_TIMEOUT_SECONDS = 60.0


class Manager:
    """The supervisor process for the services of one folder: a `churn.stack.start.Runner`."""

    up, down, place = "make up", "make down", "on this machine without containers"
    lost_login = "CHURN_POSTGRES_PASSWORD was changed while it was running. Run: make down; then: make up"

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._configuration = self.folder / "supervisord.conf"
        self._pid_file = self.folder / "supervisord.pid"
        # A link to the folder of the socket, because the path of a socket is limited to about 100 characters.
        self._sockets = self.folder / "sockets"

    @property
    def process(self) -> psutil.Process | None:
        """The running supervisor of this folder, or None."""
        try:
            process = psutil.Process(int(self._pid_file.read_text()))
            return process if str(self._configuration) in process.cmdline() else None
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None

    @property
    def _socket(self) -> Path:
        """The socket by which supervisor is asked; nobody else may enter its folder, nor foresee its name."""
        return self._sockets.resolve() / "supervisor.sock"

    def is_running(self) -> bool:
        """Return whether supervisor is running."""
        return self.process is not None

    def install(self, names: list[str]) -> None:
        """Build MinIO if it is needed and missing; Python packages hold the other programs."""
        if "minio" in names:
            install_minio()

    def start(self, services: Iterable[Service], settings: Settings) -> None:
        """Start those of the services that do not run."""
        if self.is_running():
            for service in services:
                self.start_service(service.name)
            return
        if any(service.name == "postgres" for service in services):
            prepare_postgres(self.folder / "postgres", settings["CHURN_POSTGRES_PASSWORD"])
        self._make_socket_folder()
        with write_whole(self._configuration) as path:
            path.write_text(self._configure(services))
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._configuration)]
        # No secrets: `serve` gives each service its own. Nor may it read those of .env.
        environment = machine_variables() | {"PYTHON_DOTENV_DISABLED": "1"}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if result.returncode:
            raise UserError(f"Supervisor did not start: {(result.stderr or result.stdout).strip()}")

    def runs(self, services: Iterable[Service]) -> bool:
        """Return whether supervisor is running exactly these services.

        Raises
        ------
        UserError
            When it is running other services, or these with other settings.
        """
        if not self.is_running():
            return False
        if self._configuration.read_text() != self._configure(services):
            raise UserError("The settings have changed since the stack was started. Run: make down; then: make up")
        return True

    def stop(self) -> bool:
        """Stop supervisor and all services; return whether they were running."""
        supervisor = self.process
        if supervisor is None:
            return False
        family = [supervisor, *supervisor.children(recursive=True)]
        supervisor.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=STOP_TIMEOUT_SECONDS)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=10)
        self._remove_socket_folder()
        return True

    def states(self) -> dict[str, str]:
        """Return each service's state in supervisor, such as RUNNING, BACKOFF or FATAL."""
        return {state["name"]: state["statename"] for state in self._rpc("getAllProcessInfo")}

    def stop_service(self, name: str) -> None:
        """Stop one service; supervisor does not restart it."""
        self._rpc("stopProcess", name)

    def start_service(self, name: str) -> None:
        """Start one service, unless it is already running."""
        try:
            self._rpc("startProcess", name)
        except Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise

    def failure(self, name: str) -> str | None:
        """Return a service's state if supervisor has given it up."""
        state = self.states()[name]
        return state.lower() if state in ("FATAL", "EXITED") else None

    def log(self, name: str) -> tuple[str, list[str]]:
        """Return the path of a service's log, with its standard output and error, and its last lines."""
        path = self._log(name)
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return str(path), lines[-10:]

    def variables(self) -> dict[str, str]:
        """Return nothing: clients need no more than addresses."""
        return {}

    def _make_socket_folder(self) -> None:
        self._remove_socket_folder()
        # Random, and mode 700: nobody can foresee it or wait in it with a socket of their own.
        self._sockets.symlink_to(tempfile.mkdtemp(prefix="churn-"))

    def _remove_socket_folder(self) -> None:
        if self._sockets.is_symlink():
            with suppress(FileNotFoundError):
                shutil.rmtree(self._sockets.readlink())
            self._sockets.unlink()

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def _rpc(self, method: str, *arguments: str) -> Any:
        with ServerProxy("http://localhost", SupervisorTransport(None, None, f"unix://{self._socket}")) as server:
            return getattr(server.supervisor, method)(*arguments)

    def _configure(self, services: Iterable[Service]) -> str:
        # Relative to the folder that supervisor starts in: it reads " #" and " ;" in a path as comments.
        folder = Path(os.path.relpath(self.folder))
        lines = [
            "[supervisord]",
            f"pidfile={folder / self._pid_file.name}",
            f"logfile={folder / 'logs' / 'supervisord.log'}",
            "logfile_maxbytes=5MB",
            "logfile_backups=2",
            f"umask={read_umask():03o}",
            *(["user=root"] if os.geteuid() == 0 else []),
            "[unix_http_server]",
            f"file={self._socket}",
            "chmod=0700",
            "[supervisorctl]",
            f"serverurl=unix://{self._socket}",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        ]
        for service in services:
            lines += [
                f"[program:{service.name}]",
                f"command={_join([sys.executable, str(PROGRAMS), 'serve', service.name])}",
                f"stdout_logfile={folder / 'logs' / self._log(service.name).name}",
                "stdout_logfile_maxbytes=10MB",
                "stdout_logfile_backups=3",
                "redirect_stderr=true",
                "startsecs=2",
                f"stopsignal={service.stop_signal}",
                "stopasgroup=true",
                "killasgroup=true",
            ]
        # Supervisor expands %(name)s; a percent sign in a path must stay a percent sign.
        return "".join(line.replace("%", "%%") + "\n" for line in lines)


def _join(command: list[str]) -> str:
    """Quote a command for supervisor, which reads it as a shell does once it has cut off comments."""
    quoted = shlex.join(command)
    # Closing and opening the quotes separates the blank from the sign that would start a comment.
    return re.sub(r"(\s)([;#])", r"\1''\2", quoted)
