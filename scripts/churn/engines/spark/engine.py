"""The data stages on Spark: `engine: spark` in params.yaml. See `churn.engines.Engine`."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from churn.base.files import part_path, write_whole
from churn.engines.spark.session import hadoop_path

T, R = TypeVar("T"), TypeVar("R")


class SparkEngine:
    """A driver and its executors, all of which see the repository's folder."""

    def __init__(self, session: SparkSession, temporary: Path) -> None:
        # The executors' workers get this package from here; what it imports must be installed where they are.
        package = shutil.make_archive(str(temporary / "churn"), "zip", Path(__file__).parents[3], "churn")
        session.sparkContext.addPyFile(package)
        self._session = session
        self._connection = ibis.pyspark.connect(session)
        self._numbers = count()
        self._partitions = int(session.conf.get("spark.sql.shuffle.partitions"))

    def map(self, function: Callable[[T], R], items: list[T]) -> list[R]:  # noqa: D102
        folder = Path.cwd()

        # The paths are those of the driver's folder, which the executors see as it does.
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
        """Write a table as Engine.write does: one part a partition, each in the order of the key."""
        frame = self._frame(table).repartition(self._partitions, *key).sortWithinPartitions(*key)
        schema = to_arrow_schema(frame.schema)
        with write_whole(target) as folder:
            folder.mkdir()
            at = folder.absolute()

            # Spark's own writer never writes the same bytes twice.
            def write_part(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
                rows = 0
                with pq.ParquetWriter(part_path(at, TaskContext.get().partitionId()), schema, compression="zstd") as to:
                    for batch in batches:
                        to.write_batch(batch)
                        rows += batch.num_rows
                yield pa.RecordBatch.from_pydict({"rows": [rows]})

            return sum(row.rows for row in frame.mapInArrow(write_part, "rows long").collect())

    def _frame(self, table: ir.Table):
        return self._session.sql(self._connection.compile(table))
