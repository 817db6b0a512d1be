"""The lock files, read package by package."""

import re
from pathlib import Path


def pins(lock: Path) -> dict[str, str]:
    """Return the lines of each pinned package, by the first of them."""
    packages = re.findall(r"^[A-Za-z0-9](?:.*\\\n)*.*\n", lock.read_text(), re.MULTILINE)
    return {package.partition(" \\\n")[0]: package for package in packages}
