"""The services of the stack: how to start each, and how to check that it is healthy."""

import importlib.util
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyspark

from churn.base.command import UserError
from churn.engines.spark.java import find_java
from churn.engines.spark.session import CONF, JAVA_HOME
from churn.stack import checks
from churn.stack.minio import find_minio
from churn.stack.postgres import postgres_command
from churn.stack.settings import ARTIFACT_BUCKET, Settings

WORKERS = ("spark-worker-1", "spark-worker-2")
WORKER_MEMORY = "2g"


@dataclass(frozen=True)
class Service:
    """A process that the stack keeps running."""

    name: str
    command: list[str]
    address: str
    # Returns None when the service is healthy, else the problem.
    check: Callable[[], str | None]
    ports: dict[str, str] = field(default_factory=dict)  # by the variable that sets the port
    environment: dict[str, str] = field(default_factory=dict)


def list_names(settings: Settings) -> list[str]:
    """Return the names of the services to run, each after those that it needs.

    Services that the user replaces by another server are left out (AWS_ENDPOINT_URL, CHURN_POSTGRES_URI,
    MLFLOW_TRACKING_URI, SPARK_MASTER).
    """
    names = []
    if settings.is_managed("AWS_ENDPOINT_URL"):
        names.append("minio")
    if settings.is_managed("MLFLOW_TRACKING_URI"):
        if not settings["CHURN_POSTGRES_URI"]:
            names.append("postgres")
        names.append("mlflow")
    if settings.is_managed("SPARK_MASTER"):
        names += ["spark-master", *WORKERS]
    if Path("scripts/dashboard.py").exists():
        names.append("dashboard")
    return names


def list_services(settings: Settings, folder: Path) -> list[Service]:
    """Return the services to run, each after those that it needs.

    Raises
    ------
    UserError
        When no Java is found, or MLflow cannot run from where it is installed.
    """
    return [make_service(name, settings, folder) for name in list_names(settings)]


def make_service(name: str, settings: Settings, folder: Path) -> Service:
    """Return one service. Only what this one needs must be installed, which is all that a container has."""
    if name in WORKERS:
        return _spark_worker(name, settings, folder)
    return MAKERS[name](settings, folder)


def _minio(settings: Settings, folder: Path) -> Service:
    bind, address = settings["CHURN_BIND_ADDRESS"], settings.addresses["AWS_ENDPOINT_URL"]
    ports = {name: settings[name] for name in ("CHURN_MINIO_PORT", "CHURN_MINIO_CONSOLE_PORT")}
    serve, console = (f"{bind}:{port}" for port in ports.values())
    return Service(
        "minio",
        [str(find_minio()), "server", str(folder / "minio"), "--address", serve, "--console-address", console],
        address,
        lambda: checks.check_page(f"{address}/minio/health/ready"),
        ports,
        {"MINIO_UPDATE": "off"},
    )


def _postgres(settings: Settings, folder: Path) -> Service:
    port = settings["CHURN_POSTGRES_PORT"]
    bind = settings["CHURN_BIND_ADDRESS"]
    # No Unix socket: in a deeply nested folder its path would be too long.
    listen = ["-c", f"listen_addresses={bind}", "-c", f"port={port}", "-c", "unix_socket_directories="]
    return Service(
        "postgres",
        postgres_command("postgres", "-D", str(folder / "postgres"), *listen),
        f"{settings.host}:{port}",
        lambda: checks.check_login(settings.postgres_uri),
        {"CHURN_POSTGRES_PORT": port},
    )


def _check_mlflow() -> None:
    specification = importlib.util.find_spec("mlflow")
    if specification and specification.origin and "%" in specification.origin:
        raise UserError(
            f"MLflow cannot run from {Path(specification.origin).parent}: the tool that creates its tables misreads "
            "the percent sign in this path. Move the repository to another folder, then: rm -r .venv; make install"
        )


def _mlflow(settings: Settings, folder: Path) -> Service:
    _check_mlflow()
    bind, port, address = (
        settings["CHURN_BIND_ADDRESS"],
        settings["CHURN_MLFLOW_PORT"],
        settings.addresses["MLFLOW_TRACKING_URI"],
    )
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
    return Service(
        "mlflow",
        [*command, "--host", bind, "--port", port, "--artifacts-destination", f"s3://{ARTIFACT_BUCKET}"],
        address,
        lambda: checks.check_page(f"{address}/health"),
        {"CHURN_MLFLOW_PORT": port},
        {
            "MLFLOW_AUTH_CONFIG_PATH": str(folder / "mlflow_auth.ini"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            # Few retries: the clients of the server retry as well.
            "AWS_RETRY_MODE": "standard",
            "AWS_MAX_ATTEMPTS": "2",
        },
    )


def _spark_page(settings: Settings) -> str:
    return f"http://{settings.host}:{settings['CHURN_SPARK_UI_PORT']}"


def _spark(program: str) -> tuple[list[str], dict[str, str]]:
    """Return the start of the command line of one of Spark's programs, and its environment."""
    home = Path(pyspark.__file__).parent
    environment = {
        "CHURN_JAVA": str(find_java()),
        "JAVA_HOME": str(JAVA_HOME),
        "SPARK_HOME": str(home),
        "SPARK_CONF_DIR": str(CONF),
        # The driver asks for `python3`: on each machine, and in each container, the one that Spark is installed in.
        # Not the rest of the caller's PATH: from another shell, the settings would seem to have changed.
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.defpath)),
    }
    return [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{program}"], environment


def _spark_master(settings: Settings, folder: Path) -> Service:
    start, environment = _spark("master.Master")
    ports = {name: settings[name] for name in ("CHURN_SPARK_PORT", "CHURN_SPARK_UI_PORT")}
    port, ui = ports.values()
    page = _spark_page(settings)
    # Spark splits these options as a shell does. After a restart, the master remembers its workers and applications.
    recovery = shlex.join(
        ["-Dspark.deploy.recoveryMode=FILESYSTEM", f"-Dspark.deploy.recoveryDirectory={folder / 'spark' / 'recovery'}"]
    )
    return Service(
        "spark-master",
        [*start, "--host", settings.host, "--port", port, "--webui-port", ui],
        page,
        lambda: checks.check_page(f"{page}/json/"),
        ports,
        environment | {"SPARK_LOCAL_IP": settings["CHURN_BIND_ADDRESS"], "SPARK_MASTER_OPTS": recovery},
    )


def _spark_worker(name: str, settings: Settings, folder: Path) -> Service:
    start, environment = _spark("worker.Worker")
    master, page = settings.addresses["SPARK_MASTER"], _spark_page(settings)
    cores = max(1, (os.cpu_count() or 1) // len(WORKERS))
    size = ["--host", settings.host, "--cores", str(cores), "--memory", WORKER_MEMORY, "--webui-port", "0"]
    work = folder / "spark" / name.removeprefix("spark-")
    return Service(
        name,
        [*start, *size, "--work-dir", str(work), master],
        master,
        lambda: checks.check_workers(f"{page}/json/", len(WORKERS)),
        {},
        environment | {"SPARK_LOCAL_IP": settings["CHURN_BIND_ADDRESS"]},
    )


def _dashboard(settings: Settings, _: Path) -> Service:
    bind, port = settings["CHURN_BIND_ADDRESS"], settings["CHURN_DASHBOARD_PORT"]
    address, python = f"http://{settings.host}:{port}", [sys.executable, "-m"]
    return Service(
        "dashboard",
        [*python, "streamlit", "run", "scripts/dashboard.py", "--server.address", bind, "--server.port", port],
        address,
        lambda: checks.check_page(f"{address}/_stcore/health"),
        {"CHURN_DASHBOARD_PORT": port},
    )


MAKERS: dict[str, Callable[[Settings, Path], Service]] = {
    "minio": _minio,
    "postgres": _postgres,
    "mlflow": _mlflow,
    "spark-master": _spark_master,
    "dashboard": _dashboard,
}
# Every service that there can be; a compose.override.yaml may add others.
SERVICES = (*MAKERS, *WORKERS)
