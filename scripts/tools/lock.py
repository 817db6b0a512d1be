"""Pin every package with its hashes: requirements.lock, and one lock for each extra of pyproject.toml.

Reads
    pyproject.toml; the locks, whose versions are kept where pyproject.toml still allows them; the package index
Writes
    requirements.lock, requirements-test.lock, requirements-docs.lock, requirements-notebook.lock
    requirements-servers.lock: the part of requirements.lock that the containers need
"""

import argparse
import re
import subprocess
import tempfile
import tomllib
from pathlib import Path

from churn.base.command import UserError, run_command

PROJECT = Path("pyproject.toml")
MAIN_LOCK = Path("requirements.lock")
SERVERS_LOCK = Path("requirements-servers.lock")
COMPILE = (
    *("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"),
    # No package index is named: each machine uses its own.
    *("--no-emit-index-url", "--no-emit-find-links"),
    # jsonschema takes two seconds to import when it finds rfc3987-syntax, which it does without.
    *("--no-emit-package", "rfc3987-syntax"),
    *("--custom-compile-command", "make lock"),
)


def lock() -> None:
    """Resolve everything at once, so that the locks agree, then write each lock's share of it."""
    extras = list(tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"])
    locks = {extra: MAIN_LOCK.with_name(f"requirements-{extra}.lock") for extra in extras}
    with tempfile.TemporaryDirectory() as folder:
        everything = Path(folder, "everything.lock")
        # uv keeps the versions that the output file already has.
        found = [path.read_text() for path in (MAIN_LOCK, *locks.values()) if path.exists()]
        everything.write_text("\n".join(found))
        resolve(everything, PROJECT, *(f"--extra={extra}" for extra in extras))
        needed = {name: Path(folder, f"{name}.lock") for name in ("", *extras)}
        for extra, path in needed.items():
            path.write_text(everything.read_text())
            resolve(path, PROJECT, *([f"--extra={extra}"] if extra else []))
        shared = needed[""].read_text()
        texts = {MAIN_LOCK: shared} | {locks[extra]: subtract(needed[extra].read_text(), shared) for extra in extras}
        servers = Path(folder, SERVERS_LOCK)
        servers.write_text(shared)
        resolve(servers, "--group=servers")
        texts[SERVERS_LOCK] = servers.read_text()
    for path, text in texts.items():
        path.write_text(text)


def resolve(output: Path, *what: object) -> None:
    """Let uv resolve what is asked for into a lock; it keeps the versions that the lock already has."""
    answer = subprocess.run([*COMPILE, *what, "--output-file", output], stdout=subprocess.DEVNULL)
    if answer.returncode:
        raise UserError("uv could not resolve pyproject.toml; its message is above. The locks have not changed.")


def subtract(text: str, shared: str) -> str:
    """Return a lock without the packages that another one has too.

    Parameters
    ----------
    text, shared
        Content of two locks.
    """
    header, packages = split(text)
    others = {requirement(package) for package in split(shared)[1]}
    return "".join([header, *(package for package in packages if requirement(package) not in others)])


def split(text: str) -> tuple[str, list[str]]:
    """Return a lock's first comment, and the lines of each package."""
    text = text.partition("\n# The following packages were excluded")[0] + "\n"
    header, *packages = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    return header, [package.rstrip("\n") + "\n" for package in packages]


def requirement(package: str) -> str:
    """Return the line of a package that names its version and the systems that it is for."""
    return package.partition(" \\\n")[0]


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    lock()


if __name__ == "__main__":
    run_command(main)
