"""Where the data stages run: in DuckDB on this machine, or on Spark. Ibis works with both.

May import: base.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import ibis.expr.types as ir

T, R = TypeVar("T"), TypeVar("R")


class Engine(Protocol):
    """What runs the stages."""

    def map(self, function: Callable[[T], R], items: list[T]) -> list[R]:
        """Apply a function to the items, many at a time; return what it returned, in their order."""

    def read(self, table: Path) -> "ir.Table":
        """Return a table: a folder of Parquet files."""

    def keep(self, table: "ir.Table") -> "ir.Table":
        """Compute a table that is needed more than once."""

    def fetch(self, table: "ir.Table") -> list[tuple[Any, ...]]:
        """Return a table's rows, of which there are few."""

    def write(self, table: "ir.Table", target: Path, key: Iterable[str]) -> int:
        """Write a table, whole or not at all, its rows in the order of a key that tells them apart; return how many."""


@contextmanager
def open_engine(params: dict) -> Iterator[Engine]:
    """Give the engine that params.yaml asks for.

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
