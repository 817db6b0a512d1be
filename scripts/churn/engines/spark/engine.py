"""The Spark engine (`engine: spark` in params.yaml). See `churn.engines.Engine`."""

import os
import shutil
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from churn.base.files import part_path, write_whole
from churn.engines.spark.session import hadoop_path

T = TypeVar("T")
R = TypeVar("R")


class SparkEngine:
    """A driver and its executors; all of them must see the repository's folder."""

    def __init__(self, session: SparkSession, temporary: Path) -> None:
        # Send this package to the executors; the libraries it imports must be installed there.
        package = shutil.make_archive(str(temporary / "churn"), "zip", Path(__file__).parents[3], "churn")
        session.sparkContext.addPyFile(package)
        self._session = session
        self._connection = ibis.pyspark.connect(session)
        self._numbers = count()
        self._partitions = int(session.conf.get("spark.sql.shuffle.partitions") or 1)

    def map(self, function: Callable[[T], R], items: list[T]) -> list[R]:  # noqa: D102
        folder = Path.cwd()

        # Paths are relative to the driver's folder, which the executors see under the same path.
        def call(item: T) -> R:
            os.chdir(folder)
            return function(item)

        return self._session.sparkContext.parallelize(items, len(items) or 1).map(call).collect()

    def read(self, table: Path) -> ir.Table:  # noqa: D102
        return self._connection.read_parquet(hadoop_path(table))

    def keep(self, table: ir.Table) -> ir.Table:  # noqa: D102
        name = f"kept_{next(self._numbers)}"
        self._frame(table).cache().createOrReplaceTempView(name)
        return self._connection.table(name)

    def fetch(self, table: ir.Table) -> list[tuple[Any, ...]]:  # noqa: D102
        return [tuple(row) for row in self._frame(table).collect()]

    def write(self, table: ir.Table, target: Path, key: Iterable[str]) -> int:
        """Write a table as Engine.write does: one file per partition, each sorted by the key."""
        frame = self._frame(table).repartition(self._partitions, *key).sortWithinPartitions(*key)
        # Whether Spark takes a column for one without nulls differs between the plan and what it computes.
        schema = pa.schema([field.with_nullable(True) for field in to_arrow_schema(frame.schema)])
        with write_whole(target) as folder:
            folder.mkdir()
            at = folder.absolute()

            # Spark's own writer produces different bytes every time.
            def write_part(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
                rows, task = 0, TaskContext.get()
                assert task is not None, "mapInArrow calls this within a task"
                with pq.ParquetWriter(part_path(at, task.partitionId()), schema, compression="zstd") as writer:
                    for batch in batches:
                        writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
                        rows += batch.num_rows
                yield pa.RecordBatch.from_pydict({"rows": [rows]})

            return sum(row.rows for row in frame.mapInArrow(write_part, "rows long").collect())

    def _frame(self, table: ir.Table) -> DataFrame:
        return self._session.sql(self._connection.compile(table))
