"""Write files whole or not at all, and the same bytes for the same content."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
    with write_whole(target) as path:
        path.write_text(json.dumps(_rounded(content), indent=2, sort_keys=True, allow_nan=False) + "\n")


def _rounded(content: object) -> object:
    if isinstance(content, float):
        return round(content, 6)
    if isinstance(content, dict):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_rounded(value) for value in content]
    return content
