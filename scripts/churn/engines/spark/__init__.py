"""Spark: the engine of the data stages (`engine: spark` in params.yaml), and the session that trains the models."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from churn.engines.spark.engine import SparkEngine


@contextmanager
def open_engine(params: dict[str, Any]) -> Iterator["SparkEngine"]:
    """Open the engine; see `churn.engines.open_engine`."""
    from churn.engines.spark.engine import SparkEngine
    from churn.engines.spark.session import LARGE_DATA, start_spark

    spark = params["spark"]
    settings = LARGE_DATA | {
        "spark.sql.shuffle.partitions": str(spark["partitions"]),
        "spark.driver.memory": spark["driver_memory"],
    }
    with start_spark(spark["master"], settings) as session, tempfile.TemporaryDirectory() as folder:
        yield SparkEngine(session, Path(folder))
