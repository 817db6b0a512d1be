"""Say why the Java of a Spark session has failed or ended: memory, or a signal."""

import logging
import signal
import subprocess
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

OUT_OF_MEMORY = "java.lang.OutOfMemoryError"
# Spark's own exit code, when a task runs out of memory in the driver (SparkExitCode.OOM).
EXIT_OUT_OF_MEMORY = 52
# Java closes its connection a moment before it has ended.
SECONDS_TO_END = 5


def explain_driver(error: Exception, session: SparkSession, memory: str) -> str:
    """Return what happened to the Java of a session and how to fix it; "" if it runs and the error is another.

    Parameters
    ----------
    error : Exception
        What PySpark or Py4J raised.
    session : SparkSession
        The session in which it was raised; its Java may have ended, so that nothing can be asked of it.
    memory : str
        Setting spark.driver.memory of the session.
    """
    context: Any = session.sparkContext
    code = exit_code(context._gateway.proc, error)
    if OUT_OF_MEMORY in text_of(error) or code == EXIT_OUT_OF_MEMORY:
        workers = "" if str(context.master).startswith("local") else ", or give the workers more"
        return f"Spark ran out of memory. In params.yaml, raise spark.driver_memory (now {memory}){workers}."
    if code is None:
        return ""
    if code == -signal.SIGKILL:
        return "Spark's Java was killed (SIGKILL): the machine may lack memory. Stop other programs, then run again."
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"Spark's Java ended during the work ({how}). Run again."


def exit_code(java: subprocess.Popen[bytes], error: Exception) -> int | None:
    """Return with what code Java has ended, or None if it runs."""
    if isinstance(error, Py4JJavaError | PySparkException):
        # It has answered.
        return java.poll()
    try:
        return java.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        return None


def text_of(error: Exception) -> str:
    """Return the text of an error, with that of Java."""
    return f"{error} {error.java_exception}" if isinstance(error, Py4JJavaError) else str(error)


def hide_py4j() -> None:
    """Silence Py4J, which would log a traceback for each connection that breaks off, besides raising an error."""
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    # When a response breaks off, Py4J logs to the root logger.
    logging.getLogger().addFilter(is_not_of_py4j)


def is_not_of_py4j(record: logging.LogRecord) -> bool:
    """Return whether a message was not logged by Py4J."""
    return "py4j" not in Path(record.pathname).parts
