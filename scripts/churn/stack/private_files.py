"""Write files that contain credentials: atomically, and readable by their owner only."""

import configparser
import io
from collections.abc import Mapping
from pathlib import Path

from churn.base.files import write_whole


def write_private(path: Path, text: str) -> None:
    """Write a text file that only its owner can read."""
    with write_whole(path, durable=True) as target:
        target.touch(mode=0o600)
        target.write_text(text)


def write_private_ini(path: Path, sections: Mapping[str, Mapping[str, str]]) -> None:
    """Write an INI file that only its owner can read."""
    parser, text = configparser.RawConfigParser(), io.StringIO()
    parser.read_dict(sections)
    parser.write(text)
    write_private(path, text.getvalue())
