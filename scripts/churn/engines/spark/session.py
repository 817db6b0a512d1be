"""Start a Spark session whose results do not depend on the machine's Java, cores or Spark settings."""

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyspark
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException, PySparkRuntimeError
from pyspark.sql import SparkSession

from churn.base.addresses import hide_logins
from churn.base.command import UserError
from churn.engines.spark.cluster import CLUSTER, ClusterWatch, check_master, find_reason, name_error
from churn.engines.spark.driver import explain_driver, hide_py4j
from churn.engines.spark.java import find_java
from churn.engines.spark.login import bound_events, find_login

# A JAVA_HOME whose `java` starts the real one (CHURN_JAVA), and the Log4j settings.
JAVA_HOME, CONF = (Path(__file__).parent / name for name in ("jdk", "conf"))
# A BLAS library of the machine would sum in a different order.
JAVA_OPTIONS = "-Ddev.ludovic.netlib.blas.nativeLib=none -XX:-UsePerfData"
# Java's optimizing compiler and its parallel collector only pay off in longer runs.
SHORT_WORK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
SETTINGS = {
    "spark.driver.memory": "2g",
    "spark.driver.host": "localhost",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    # For small data, compiling a query or adding a task takes longer than it saves.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "1",
    # The partitions of a file must not depend on the number of cores, because the order of sums would too.
    "spark.sql.files.minPartitionNum": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.extraJavaOptions": f"{JAVA_OPTIONS} {SHORT_WORK}",
    "spark.executor.extraJavaOptions": f"{JAVA_OPTIONS} {SHORT_WORK}",
}
# How PySpark's message begins when the executors' Python has another minor version than the driver's.
OTHER_PYTHON = "PYTHON_VERSION_MISMATCH"
# Overrides for large data.
LARGE_DATA = {
    "spark.sql.codegen.wholeStage": "true",
    "spark.driver.extraJavaOptions": JAVA_OPTIONS,
    "spark.executor.extraJavaOptions": JAVA_OPTIONS,
}


@contextmanager
def start_spark(master: str, settings: dict[str, str] | None = None) -> Iterator[SparkSession]:
    """Start a session, and stop it when the block ends.

    Parameters
    ----------
    master : str
        Where to run, such as `local[2]`: on this machine, with two threads. SPARK_MASTER in the environment overrides
        it, SPARK_EVENT_LOG_DIR sets a folder for Spark's event log, and SPARK_PROPERTIES_FILE has the cluster's secret:
        none changes the results.
    settings : dict of str, optional
        Spark settings that override `SETTINGS`, which suit small data.

    Raises
    ------
    UserError
        When there is no Java that Spark can use, Spark does not start, the master does not answer, a cluster fails, or
        the driver's Java runs out of memory or ends.
    """
    master = os.environ.get("SPARK_MASTER") or master
    # Spark creates folders in it, and removes them when its JVM ends.
    temporary = tempfile.gettempdir()
    folders = {
        "spark.local.dir": temporary,
        "spark.sql.warehouse.dir": f"{temporary}/spark-warehouse",
    }
    # A plain path: Hadoop does not decode a URI with %20.
    if events := os.environ.get("SPARK_EVENT_LOG_DIR"):
        folders |= {"spark.eventLog.enabled": "true", "spark.eventLog.dir": str(Path(events).absolute())}
        # A user is erased from it as from a text.
        folders["spark.eventLog.compress"] = "false"
    chosen = SETTINGS | folders | (settings or {})
    builder = SparkSession.builder.master(master).appName("churn").config(map={**chosen})
    hide_py4j()
    java = find_java()
    login = None
    if master.startswith(CLUSTER):
        check_master(master)
        login = find_login(master)
    if login and events:
        bound_events(login, Path(events))
    try:
        with _environment(java, master, login):
            session = _create(builder, master)
        watch = ClusterWatch(session, master) if master.startswith(CLUSTER) else None
        try:
            yield session
        except (Py4JError, PySparkException, ConnectionError) as error:
            message = _explain(error, session, watch, master, chosen["spark.driver.memory"])
            if not message:
                raise
            raise UserError(message) from error
        finally:
            if watch is not None:
                watch.end()
            # If the cluster is gone, the session has stopped already.
            with suppress(Py4JError, ConnectionError):
                session.stop()
    except PySparkRuntimeError as error:
        if error.getCondition() != "JAVA_GATEWAY_EXITED":
            raise
        raise UserError(f"Spark did not start on {java}; see its output above. Set JAVA_HOME to a JDK 17.") from None


def _explain(error: Exception, session: SparkSession, watch: ClusterWatch | None, master: str, memory: str) -> str:
    """Return what went wrong in a session and how to fix it; "" for a fault of the code."""
    lost = watch.lost if watch else ""
    # A cluster that is lost ends Java on purpose.
    if not lost and (said := explain_driver(error, session, memory)):
        return said
    if watch is None:
        return ""
    reason = lost or find_reason(error)
    fix = (
        f"Set PYSPARK_PYTHON in .env to the path that Python {python_version()} has on the workers."
        if OTHER_PYTHON in reason
        else "Check that the master and its workers run (make up restarts them) and look at the workers' logs, "
        "then run again."
    )
    return f"Spark at {hide_logins(master)} failed: {lost or name_error(error, reason)} {fix}\n{reason}"


def hadoop_path(path: Path) -> str:
    """Return a local path in the form that Hadoop reads.

    Not `Path.as_uri()`: Hadoop takes a percent-encoded space or accent literally.
    """
    return f"file://{path.absolute()}"


def _create(builder: SparkSession.Builder, master: str) -> SparkSession:
    try:
        return builder.getOrCreate()
    except Py4JJavaError as error:
        raise UserError(
            f"Spark did not start on {hide_logins(master)} ({find_reason(error)}). Check that this master runs and can "
            "be reached from here, or set another: SPARK_MASTER in .env or the environment, or spark.master in "
            "params.yaml."
        ) from None


def python_version() -> str:
    """Return the minor version of this Python, which the executors must have too."""
    return ".".join(map(str, sys.version_info[:2]))


@contextmanager
def _environment(java: Path, master: str, login: Path | None) -> Iterator[None]:
    """Set the environment for this package's Spark and Java, and ignore any other Spark that the user has set up."""
    before = os.environ.copy()
    os.environ.pop("PYSPARK_SUBMIT_ARGS", None)
    if login:
        # Not as a setting of the session, which would be on the command line of its Java.
        os.environ["PYSPARK_SUBMIT_ARGS"] = shlex.join(["--properties-file", str(login), "pyspark-shell"])
    # The executors of a cluster have their own Python, on their PATH, and rarely the path of this one.
    usual = "python3" if master.startswith(CLUSTER) else sys.executable
    os.environ["PYSPARK_PYTHON"] = os.environ.get("PYSPARK_PYTHON") or usual
    os.environ |= {
        "CHURN_JAVA": str(java),
        "JAVA_HOME": str(JAVA_HOME),
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_CONF_DIR": str(CONF),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before
