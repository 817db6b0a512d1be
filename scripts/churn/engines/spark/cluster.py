"""A Spark cluster that does not answer, or is lost while it is used."""

import logging
import re
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.sql import SparkSession

from churn.base.command import UserError

LOG = logging.getLogger("churn.spark")
CLUSTER = "spark://"
# How long an application may be without an executor before its cluster counts as lost.
TIMEOUT_SECONDS = 20.0


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
                elif time.monotonic() - alone_since > TIMEOUT_SECONDS:
                    if had or not listens(self._master):
                        self.lost = f"for {TIMEOUT_SECONDS:.0f} s there was no executor."
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


def find_reason(error: Exception) -> str:
    """Return the line of a Spark error that says what went wrong."""
    text = str(error.java_exception) if isinstance(error, Py4JJavaError) else str(error)
    # What Python said on an executor stands deep in what Java says of it.
    said = re.findall(r"^\w[\w.]*Error: .*$", text, re.MULTILINE)
    return said[-1] if said else (text or type(error).__name__).splitlines()[0]
