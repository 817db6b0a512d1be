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

WORKERS = 2
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


def list_services(settings: Settings, folder: Path) -> list[Service]:
    """Return the services to run, each after those that it needs.

    Services that the user replaces by another server are left out (AWS_ENDPOINT_URL, CHURN_POSTGRES_URI,
    MLFLOW_TRACKING_URI, SPARK_MASTER).

    Raises
    ------
    UserError
        When no Java is found, or MLflow cannot run from where it is installed.
    """
    services = []
    if settings.is_managed("AWS_ENDPOINT_URL"):
        services.append(_minio(settings, folder))
    if settings.is_managed("MLFLOW_TRACKING_URI"):
        if not settings["CHURN_POSTGRES_URI"]:
            services.append(_postgres(settings, folder))
        services.append(_mlflow(settings, folder))
    if settings.is_managed("SPARK_MASTER"):
        services += _spark(settings, folder)
    if Path("scripts/dashboard.py").exists():
        services.append(_dashboard(settings))
    return services


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


def _spark(settings: Settings, folder: Path) -> list[Service]:
    bind, port, ui = (settings[name] for name in ("CHURN_BIND_ADDRESS", "CHURN_SPARK_PORT", "CHURN_SPARK_UI_PORT"))
    master, page = settings.addresses["SPARK_MASTER"], f"http://{settings.host}:{ui}"
    home = Path(pyspark.__file__).parent
    environment = {
        "CHURN_JAVA": str(find_java()),
        "JAVA_HOME": str(JAVA_HOME),
        "SPARK_HOME": str(home),
        "SPARK_CONF_DIR": str(CONF),
        "SPARK_LOCAL_IP": bind,
        "PYSPARK_PYTHON": sys.executable,
    }
    # Spark splits these options as a shell does.
    recovery = shlex.join(
        ["-Dspark.deploy.recoveryMode=FILESYSTEM", f"-Dspark.deploy.recoveryDirectory={folder / 'spark' / 'recovery'}"]
    )
    run = [str(home / "bin" / "spark-class"), "org.apache.spark.deploy"]
    master_service = Service(
        "spark-master",
        [run[0], f"{run[1]}.master.Master", "--host", settings.host, "--port", port, "--webui-port", ui],
        page,
        lambda: checks.check_page(f"{page}/json/"),
        {"CHURN_SPARK_PORT": port, "CHURN_SPARK_UI_PORT": ui},
        # After a restart, the master remembers its workers and applications.
        environment | {"SPARK_MASTER_OPTS": recovery},
    )
    cores = max(1, (os.cpu_count() or 1) // WORKERS)
    size = ["--host", settings.host, "--cores", str(cores), "--memory", WORKER_MEMORY, "--webui-port", "0"]
    workers = [
        Service(
            f"spark-worker-{number}",
            [
                run[0],
                f"{run[1]}.worker.Worker",
                *size,
                "--work-dir",
                str(folder / "spark" / f"worker-{number}"),
                master,
            ],
            master,
            lambda: checks.check_workers(f"{page}/json/", WORKERS),
            {},
            environment,
        )
        for number in range(1, WORKERS + 1)
    ]
    return [master_service, *workers]


def _dashboard(settings: Settings) -> Service:
    bind, port = settings["CHURN_BIND_ADDRESS"], settings["CHURN_DASHBOARD_PORT"]
    address, python = f"http://{settings.host}:{port}", [sys.executable, "-m"]
    return Service(
        "dashboard",
        [*python, "streamlit", "run", "scripts/dashboard.py", "--server.address", bind, "--server.port", port],
        address,
        lambda: checks.check_page(f"{address}/_stcore/health"),
        {"CHURN_DASHBOARD_PORT": port},
    )
