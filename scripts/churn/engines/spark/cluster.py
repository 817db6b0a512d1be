"""Detect a Spark cluster that does not answer, or is lost during a run."""

import logging
import re
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.sql import SparkSession

from churn.base.addresses import hide_logins
from churn.base.command import UserError

LOG = logging.getLogger("churn.spark")
CLUSTER = "spark://"
# A cluster counts as lost when an application has had no executor for this long.
TIMEOUT_SECONDS = 20.0


def check_master(master: str) -> None:
    """Raise `UserError` when no master listens; Spark itself would retry for a minute first."""
    if not listens(master):
        raise UserError(
            f"Spark's master at {hide_logins(master)} does not answer. Start it (make up), or set another: "
            "SPARK_MASTER in .env or the environment, or spark.master in params.yaml."
        )


def listens(master: str) -> bool:
    """Return whether any master in an address like spark://one:7077,two:7077 accepts connections."""
    for address in master.removeprefix(CLUSTER).split(","):
        host, _, port = address.rpartition(":")
        with suppress(OSError, ValueError):
            socket.create_connection((host, int(port)), timeout=10).close()
            return True
    return False


class ClusterWatch:
    """Stop the JVM of a session when its cluster is lost; otherwise Spark waits forever."""

    def __init__(self, session: SparkSession, master: str) -> None:
        self.lost = ""
        self._master = master
        context: Any = session.sparkContext
        self._context = context._jsc.sc()
        self._java = context._gateway.proc
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        had_executor, alone_since, warned = False, time.monotonic(), False
        with suppress(Py4JError, ConnectionError):
            while not self._ended.wait(2):
                # The driver is one of the entries.
                if self._context.getExecutorMemoryStatus().size() > 1:
                    had_executor, alone_since = True, time.monotonic()
                elif time.monotonic() - alone_since > TIMEOUT_SECONDS:
                    if had_executor or not listens(self._master):
                        self.lost = f"no executor for {TIMEOUT_SECONDS:.0f} s."
                        # Not only the context: the code that uses it would create a new one, and wait for that.
                        self._java.terminate()
                        return
                    if not warned:
                        LOG.warning(
                            "Spark at %s has no free executor: other applications use them all. Waiting.",
                            hide_logins(self._master),
                        )
                        warned = True


def find_reason(error: Exception) -> str:
    """Return the line of a Spark error that says what went wrong."""
    text = str(error.java_exception) if isinstance(error, Py4JJavaError) else str(error)
    # A Python error on an executor is buried deep in Java's own message.
    found = re.findall(r"^\w[\w.]*Error: .*$", text, re.MULTILINE)
    return str(found[-1]) if found else (text or type(error).__name__).splitlines()[0]


def name_error(error: Exception, reason: str) -> str:
    """Return the name of an error, without its message, which may quote a value of the data.

    Parameters
    ----------
    reason : str
        What `find_reason` found.
    """
    found = re.match(r"\w+(?:\.\w+)*(?=: )|\[[A-Z_.]+\]", reason)
    return f"{found[0] if found else type(error).__name__}."
