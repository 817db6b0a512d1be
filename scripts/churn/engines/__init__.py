"""The engines that run the data stages: DuckDB on this machine, or Spark. Ibis compiles the same query for both.

May import: base.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import ibis.expr.types as ir

T = TypeVar("T")
R = TypeVar("R")


class Engine(Protocol):
    """The operations that a data stage needs from DuckDB or Spark."""

    def map(self, function: Callable[[T], R], items: list[T]) -> list[R]:
        """Apply a function to the items, many at a time; return the results in the order of the items."""

    def read(self, table: Path) -> "ir.Table":
        """Open a table, a folder of Parquet files."""

    def keep(self, table: "ir.Table") -> "ir.Table":
        """Compute a table now, because it is used more than once."""

    def fetch(self, table: "ir.Table") -> list[tuple[Any, ...]]:
        """Return the rows of a small table."""

    def write(self, table: "ir.Table", target: Path, key: Iterable[str]) -> int:
        """Write a table atomically, with its rows sorted by a unique key; return the number of rows."""


@contextmanager
def open_engine(params: dict[str, Any]) -> Iterator[Engine]:
    """Open the engine that params.yaml selects.

    Parameters
    ----------
    params : dict
        All of params.yaml: engine (duckdb or spark), and the sections duckdb and spark.

    Raises
    ------
    UserError
        When DuckDB has too little memory, or Spark does not start.
    """
    engine = import_module(f"churn.engines.{params['engine']}")
    with engine.open_engine(params) as opened:
        yield opened
