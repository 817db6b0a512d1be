"""The DuckDB engine (`engine: duckdb` in params.yaml): data stages on this machine. See `churn.engines.Engine`."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from churn.base.command import UserError
from churn.base.files import PARQUET, part_path, quote, write_whole

if TYPE_CHECKING:
    import ibis.backends.duckdb
    import ibis.expr.types as ir

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def open_engine(params: dict[str, Any]) -> Iterator["DuckDBEngine"]:
    """Open the engine; see `churn.engines.open_engine`."""
    try:
        yield DuckDBEngine(**params["duckdb"])
    except duckdb.OutOfMemoryException as error:
        limit, folder = (params["duckdb"][key] for key in ("memory_limit", "spill_folder"))
        raise UserError(
            f"DuckDB has too little memory or disk: {str(error).splitlines()[0]} In params.yaml, raise "
            f"duckdb.memory_limit ({limit}), or set duckdb.spill_folder to a folder with more room ({folder})."
        ) from None


class DuckDBEngine:
    """DuckDB in this process, on all its threads."""

    def __init__(self, memory_limit: str, spill_folder: str) -> None:
        self._settings = {"memory_limit": memory_limit, "temp_directory": spill_folder}
        self._numbers = count()

    @cached_property
    def connection(self) -> "ibis.backends.duckdb.Backend":
        """The connection, opened on first use: a stage that only reads CSVs does not need it."""
        import ibis

        return ibis.duckdb.connect(**self._settings)

    def map(self, function: Callable[[T], R], items: list[T]) -> list[R]:  # noqa: D102
        ((threads,),) = duckdb.execute("SELECT current_setting('threads')").fetchall()
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(function, items))

    def read(self, table: Path) -> "ir.Table":  # noqa: D102
        return self.connection.read_parquet(table / "*.parquet")

    def keep(self, table: "ir.Table") -> "ir.Table":  # noqa: D102
        return self.connection.create_table(f"kept_{next(self._numbers)}", table, temp=True)

    def fetch(self, table: "ir.Table") -> list[tuple[Any, ...]]:  # noqa: D102
        # Not Ibis's own methods: they import pandas.
        rows: list[tuple[Any, ...]] = self.connection.raw_sql(self.connection.compile(table)).fetchall()
        return rows

    def write(self, table: "ir.Table", target: Path, key: Iterable[str]) -> int:  # noqa: D102
        query = self.connection.compile(table.order_by(*key))
        with write_whole(target) as folder:
            folder.mkdir()
            copied = self.connection.raw_sql(f"COPY ({query}) TO {quote(part_path(folder, 0))} {PARQUET}")
            (rows,) = copied.fetchone()
        return int(rows)
