"""The services of the stack: how to start each, and how to check that it is healthy."""

import importlib.util
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from churn.base.command import UserError
from churn.stack import checks
from churn.stack.listen import LOCAL, join_port
from churn.stack.minio import find_minio
from churn.stack.postgres import postgres_command
from churn.stack.settings import ARTIFACT_BUCKET, CERTIFICATE, KEY, MLFLOW_USER, REGION, SPARK_LOGIN, Settings
from churn.stack.variables import CHECKSUMS, MLFLOW_SERVER, list_variables

WORKERS = ("spark-worker-1", "spark-worker-2")
WORKER_MEMORY = "2g"
# Without it, the work folder of every application and the output of every executor stay.
DAY = 24 * 60 * 60
SPARK_LIMITS = {
    "spark.worker.cleanup.enabled": "true",
    "spark.worker.cleanup.interval": str(DAY // 24),
    "spark.worker.cleanup.appDataTtl": str(7 * DAY),
    "spark.executor.logs.rolling.strategy": "size",
    "spark.executor.logs.rolling.maxSize": str(5_000_000),
    "spark.executor.logs.rolling.maxRetainedFiles": "3",
}
# Spark's pages have no login: they show, and do nothing.
SPARK_PAGES = {
    "spark.ui.killEnabled": "false",
    "spark.master.ui.decommission.allow.mode": "DENY",
    "spark.master.rest.enabled": "false",
}


@dataclass(frozen=True)
class Service:
    """A process that the stack keeps running."""

    name: str
    command: list[str]
    address: str
    # Returns None when the service is healthy, else the problem.
    check: Callable[[], str | None]
    # The address and port of each that it listens on, by the variable that sets the port.
    ports: dict[str, tuple[str, str]] = field(default_factory=dict)
    # All that it gets, besides what any program needs of the machine (churn.stack.variables).
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"


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
    address, port = settings.addresses["AWS_ENDPOINT_URL"], "CHURN_MINIO_PORT"
    console = "CHURN_MINIO_CONSOLE_PORT"
    ports = {port: (settings["CHURN_BIND_ADDRESS"], settings[port]), console: (LOCAL, settings[console])}
    serve, pages = (join_port(*listen) for listen in ports.values())
    # With a certificate in this folder, MinIO answers by https only.
    store = [str(folder / "minio"), "--certs-dir", str((folder / CERTIFICATE).parent)]
    return Service(
        "minio",
        [str(find_minio()), "server", *store, "--address", serve, "--console-address", pages],
        address,
        lambda: checks.check_page(f"{address}/minio/health/ready", settings.trusted),
        ports,
        settings.select(*list_variables("minio", settings)) | {"MINIO_UPDATE": "off"},
    )


def _postgres(settings: Settings, folder: Path) -> Service:
    port = settings["CHURN_POSTGRES_PORT"]
    # Its only client, MLflow's server, is on this machine.
    # No Unix socket: in a deeply nested folder its path would be too long.
    listen = ["-c", f"listen_addresses={LOCAL}", "-c", f"port={port}", "-c", "unix_socket_directories="]
    return Service(
        "postgres",
        postgres_command("postgres", "-D", str(folder / "postgres"), *listen),
        f"{LOCAL}:{port}",
        lambda: checks.check_login(settings.postgres_uri),
        {"CHURN_POSTGRES_PORT": (LOCAL, port)},
        # SIGTERM would wait for its clients.
        stop_signal="INT",
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
    login = folder / "mlflow_auth.ini"
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
    tls = []
    if settings.is_open:
        options = ["--ssl-certfile", str(folder / CERTIFICATE), "--ssl-keyfile", str(folder / KEY)]
        tls = ["--uvicorn-opts", shlex.join(options)]
    return Service(
        "mlflow",
        [*command, *tls, "--host", bind, "--port", port, "--artifacts-destination", f"s3://{ARTIFACT_BUCKET}"],
        address,
        lambda: checks.check_mlflow(address, login, settings.trusted),
        {"CHURN_MLFLOW_PORT": (bind, port)},
        {
            **settings.select(*MLFLOW_SERVER),
            **_mlflow_names(settings),
            **_mlflow_s3(settings),
            "MLFLOW_BACKEND_STORE_URI": settings.postgres_uri,
            "MLFLOW_AUTH_CONFIG_PATH": str(login),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            # Few retries: the clients of the server retry as well.
            "AWS_RETRY_MODE": "standard",
            "AWS_MAX_ATTEMPTS": "2",
        },
    )


def _mlflow_s3(settings: Settings) -> dict[str, str]:
    """Return how the MLflow server reaches S3: as MinIO's user for its bucket, or with your own login."""
    if not settings.is_managed("AWS_ENDPOINT_URL"):
        return settings.select("AWS_*")
    trusted = {"AWS_CA_BUNDLE": str(settings.trusted)} if settings.trusted else {}
    return (
        settings.select(*CHECKSUMS)
        | trusted
        | {
            "AWS_ENDPOINT_URL": settings.addresses["AWS_ENDPOINT_URL"],
            "AWS_ACCESS_KEY_ID": MLFLOW_USER,
            "AWS_SECRET_ACCESS_KEY": settings["CHURN_S3_MLFLOW_PASSWORD"],
            "AWS_DEFAULT_REGION": REGION,
        }
    )


def _mlflow_names(settings: Settings) -> dict[str, str]:
    """Return the variables with the host names and page addresses that MLflow's server accepts, besides localhost.

    Otherwise it refuses other names than those of private networks, and all that its own pages send.
    """
    if not settings.is_open:
        return {}
    page = settings.addresses["MLFLOW_TRACKING_URI"]
    defaults = {"MLFLOW_SERVER_ALLOWED_HOSTS": page.partition("//")[2], "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": page}
    return defaults | settings.select(*defaults)


def _spark_page(settings: Settings) -> str:
    return f"http://{LOCAL}:{settings['CHURN_SPARK_UI_PORT']}"


def _spark(program: str) -> tuple[list[str], dict[str, str]]:
    """Return the start of the command line of one of Spark's programs, and its environment."""
    import pyspark

    from churn.engines.spark.java import find_java
    from churn.engines.spark.session import CONF, JAVA_HOME, SHORT_WORK

    home = Path(pyspark.__file__).parent
    environment = {
        "CHURN_JAVA": str(find_java()),
        "JAVA_HOME": str(JAVA_HOME),
        "SPARK_HOME": str(home),
        "SPARK_CONF_DIR": str(CONF),
        # Master and workers do little themselves, and so they start sooner.
        "SPARK_DAEMON_JAVA_OPTS": SHORT_WORK,
        # The driver asks for `python3`: on each machine, and in each container, the one that Spark is installed in.
        # Not the rest of the caller's PATH: from another shell, the settings would seem to have changed.
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.defpath)),
    }
    # A secret on the command line could be read by every user of the machine.
    login = ["--properties-file", str(SPARK_LOGIN.absolute())]
    return [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{program}", *login], environment


def _spark_options(options: Mapping[str, str]) -> str:
    """Return Java options; Spark splits them as a shell does."""
    return shlex.join([f"-D{name}={value}" for name, value in options.items()])


def _spark_master(settings: Settings, folder: Path) -> Service:
    start, environment = _spark("master.Master")
    # On this machine only: driver and executors are here, and the pages have no login.
    ports = {name: (LOCAL, settings[name]) for name in ("CHURN_SPARK_PORT", "CHURN_SPARK_UI_PORT")}
    (_, port), (_, ui) = ports.values()
    page = _spark_page(settings)
    # After a restart, the master remembers its workers and applications.
    recovery = {
        "spark.deploy.recoveryMode": "FILESYSTEM",
        "spark.deploy.recoveryDirectory": str(folder / "spark" / "recovery"),
    }
    return Service(
        "spark-master",
        [*start, "--host", LOCAL, "--port", port, "--webui-port", ui],
        page,
        lambda: checks.check_page(f"{page}/json/"),
        ports,
        environment
        | {
            "SPARK_LOCAL_IP": LOCAL,
            "SPARK_MASTER_OPTS": _spark_options(recovery | SPARK_PAGES),
        },
    )


def _spark_worker(name: str, settings: Settings, folder: Path) -> Service:
    start, environment = _spark("worker.Worker")
    master, page = settings.addresses["SPARK_MASTER"], _spark_page(settings)
    cores = max(1, (os.cpu_count() or 1) // len(WORKERS))
    size = ["--host", LOCAL, "--cores", str(cores), "--memory", WORKER_MEMORY, "--webui-port", "0"]
    work = folder / "spark" / name.removeprefix("spark-")
    limits = SPARK_LIMITS | SPARK_PAGES
    return Service(
        name,
        [*start, *size, "--work-dir", str(work), master],
        master,
        lambda: checks.check_workers(f"{page}/json/", len(WORKERS)),
        {},
        environment | {"SPARK_LOCAL_IP": LOCAL, "SPARK_WORKER_OPTS": _spark_options(limits)},
    )


def _dashboard(settings: Settings, folder: Path) -> Service:
    bind, port = settings["CHURN_BIND_ADDRESS"], settings["CHURN_DASHBOARD_PORT"]
    address, python = settings.page("CHURN_DASHBOARD_PORT"), [sys.executable, "-m"]
    listen = ["--server.address", bind, "--server.port", port]
    if settings.is_open:
        listen += ["--server.sslCertFile", str(folder / CERTIFICATE), "--server.sslKeyFile", str(folder / KEY)]
        listen += ["--browser.serverAddress", settings.host]
    return Service(
        "dashboard",
        [*python, "streamlit", "run", "scripts/dashboard.py", *listen],
        address,
        lambda: checks.check_page(f"{address}/_stcore/health", settings.trusted),
        {"CHURN_DASHBOARD_PORT": (bind, port)},
        # It would read the other passwords from .env.
        settings.select(*list_variables("dashboard", settings)) | {"PYTHON_DOTENV_DISABLED": "1"},
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
