"""Files with logins in them: written whole, and for their owner's eyes alone."""

import configparser
import io
from collections.abc import Mapping
from pathlib import Path

from churn.base.files import write_whole


def write_private(path: Path, text: str) -> None:
    """Write a text that only the file's owner may read."""
    with write_whole(path) as target:
        target.touch(mode=0o600)
        target.write_text(text)


def write_private_ini(path: Path, sections: Mapping[str, Mapping[str, str]]) -> None:
    """Write sections of settings that only the file's owner may read."""
    parser, text = configparser.RawConfigParser(), io.StringIO()
    parser.read_dict(sections)
    parser.write(text)
    write_private(path, text.getvalue())
