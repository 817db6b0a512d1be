"""Known vulnerabilities of packages, from a file of advisories in the OSV format.

pip-audit asks a server of OSV; without a network, it asks the one here, which answers from the file.
See https://ossf.github.io/osv-schema/.
"""

import json
import threading
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from churn.base.command import UserError
from churn.base.reading import read_text

Advisory = dict[str, Any]


def read_advisories(path: Path) -> dict[str, list[Advisory]]:
    """Return the advisories of each package of PyPI.

    Parameters
    ----------
    path : Path
        The all.zip of PyPI that OSV publishes, a folder of its JSON files, or one JSON file with an advisory or a list.

    Raises
    ------
    UserError
        When the file is missing or damaged, or has no advisory of a package of PyPI.
    """
    found: dict[str, list[Advisory]] = defaultdict(list)
    try:
        for advisory in _read(path):
            for affected in advisory.get("affected", []):
                if name := _name(affected):
                    # pip-audit finds the fixed versions by this name.
                    affected["package"]["name"] = name
            for name in {_name(affected) for affected in advisory.get("affected", [])} - {""}:
                found[name].append(advisory)
    except (zipfile.BadZipFile, ValueError, AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a file of advisories in the OSV format ({error}). Download it again.") from None
    except FileNotFoundError:
        raise UserError(f"{path} is missing. Set ADVISORIES to OSV's all.zip: docs/guides/operations.md") from None
    if not found:
        raise UserError(f"{path} has no advisory of a package of PyPI. Download OSV's all.zip of the ecosystem PyPI.")
    return dict(found)


def _read(path: Path) -> Iterator[Advisory]:
    if path.is_dir():
        for file in sorted(path.glob("*.json")):
            yield json.loads(read_text(file))
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                if name.endswith(".json"):
                    yield json.loads(packed.read(name))
    else:
        content = json.loads(read_text(path))
        yield from content if isinstance(content, list) else [content]


def _name(affected: Advisory) -> str:
    package = affected.get("package", {})
    return str(canonicalize_name(package["name"])) if package.get("ecosystem") == "PyPI" else ""


def affects(advisory: Advisory, name: str, version: Version) -> bool:
    """Return whether an advisory is about this version of a package."""
    return any(
        str(version) in map(_normal, affected.get("versions", []))
        or any(_in_range(one, version) for one in affected.get("ranges", []) if one.get("type") == "ECOSYSTEM")
        for affected in advisory.get("affected", [])
        if _name(affected) == name
    )


def _in_range(affected: dict[str, Any], version: Version) -> bool:
    """Return whether a version is in a range: OSV's own algorithm, over events in the order of their versions.

    A range that cannot be read counts as one that it is in: somebody must look.
    """
    try:
        events = sorted((next(iter(event.items())) for event in affected["events"]), key=lambda one: _order(one[1]))
    except (InvalidVersion, LookupError, TypeError, AttributeError, RuntimeError):
        return True
    inside = False
    for kind, at in events:
        if kind == "introduced" and version >= _order(at):
            inside = True
        elif (kind == "fixed" and version >= _order(at)) or (kind == "last_affected" and version > _order(at)):
            inside = False
    return inside


def _order(text: str) -> Version:
    # "0" is before every version, also before a pre-release of 0.
    return Version("0.dev0") if text == "0" else Version(text)


def _normal(text: str) -> str:
    try:
        return str(Version(text))
    except InvalidVersion:
        return text


@contextmanager
def serve_advisories(advisories: dict[str, list[Advisory]]) -> Iterator[str]:
    """Answer OSV's queries on this machine, and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, version = canonicalize_name(asked["package"]["name"]), Version(asked["version"])
            found = [one for one in advisories.get(name, []) if affects(one, name, version)]
            answer = json.dumps({"vulns": found} if found else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()
