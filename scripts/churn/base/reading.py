"""Read files: one that is damaged, or may not be read, is a `UserError` with its path."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.base.command import UserError
from churn.base.failures import explain_system

if TYPE_CHECKING:
    import pyarrow as pa

AGAIN = "Delete it, and make run makes it again; or restore it from git."


def read_text(path: Path, fix: str = AGAIN) -> str:
    """Return the content of a UTF-8 file.

    Raises
    ------
    UserError
        When it is not UTF-8, or cannot be read. A missing file is a FileNotFoundError.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: byte {error.start + 1} is wrong. {fix}") from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(explain_system(error)) from None


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises
    ------
    UserError
        When it is not UTF-8, or only part of it is there.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}). {AGAIN}") from None


def read_table(path: Path, columns: list[str] | None = None) -> "pa.Table":
    """Return a Parquet file, or a folder of them.

    Raises
    ------
    UserError
        When it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, columns=columns)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is damaged ({str(error).splitlines()[0]}). {AGAIN}") from None
    except OSError as error:
        # PyArrow raises it for a damaged page, too, and then without a number.
        if error.errno is not None:
            raise UserError(explain_system(error)) from None
        raise UserError(f"{path} cannot be read ({str(error).splitlines()[0]}). {AGAIN}") from None
