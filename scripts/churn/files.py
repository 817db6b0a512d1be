"""Write files whole or not at all, and the same bytes for the same content."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# How DuckDB writes every table. A higher level of compression takes longer and saves nothing on these tables.
PARQUET = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"


def quote(text: object) -> str:
    """Return a text, a path or a name as SQL writes a text."""
    return "'" + str(text).replace("'", "''") + "'"


def part_path(table: Path, number: int) -> Path:
    """Return the path of a table's part, from 0: a table is a folder of Parquet files, read in the order of names."""
    return table / f"part-{number:05}.parquet"


@contextmanager
def write_whole(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`; move it there when the block ends well.

    The path may become a file or a folder. When the block raises, nothing is left behind and an
    older `target` stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield folder / target.name
        if target.is_dir():
            target.replace(folder / "replaced")
        (folder / target.name).replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_json(content: object, target: Path) -> None:
    """Write sorted keys and floats rounded to 6 digits, so that equal content gives equal bytes."""
    rounded = round_floats(content, lambda value: round(value, 6))
    with write_whole(target) as path:
        path.write_text(json.dumps(rounded, indent=2, sort_keys=True, allow_nan=False) + "\n")


def round_floats(content: object, rounded: Callable[[float], float]) -> object:
    """Return the same lists and dicts with every float in them rounded."""
    if isinstance(content, float):
        return rounded(content)
    if isinstance(content, dict):
        return {key: round_floats(value, rounded) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [round_floats(value, rounded) for value in content]
    return content
