"""Ask pip-audit which packages of the locks have known vulnerabilities."""

import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from churn.audit.advisories import read_advisories, serve_advisories
from churn.audit.findings import Finding
from churn.base.command import UserError

OSV = "https://api.osv.dev/v1/query"
ASK = ("--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off", "--desc", "on")
OFFLINE = (
    "The server of advisories was not reached ({reason}). With a network: allow https://api.osv.dev. Without one: "
    "make audit ADVISORIES=all.zip, a file that is downloaded elsewhere (docs/guides/operations.md). make audit PINS=1 "
    "needs neither."
)


def find_vulnerable(locks: list[Path], advisories: Path | None, address: str = OSV) -> list[Finding]:
    """Return the packages of the locks that have known vulnerabilities.

    Parameters
    ----------
    locks : list of Path
        Files of requirements with hashes.
    advisories : Path, optional
        A file of advisories; without it, OSV's server is asked.
    address : str
        The server to ask.

    Raises
    ------
    UserError
        When the advisories cannot be read, or the server is not reached.
    """
    serving = serve_advisories(read_advisories(advisories)) if advisories else nullcontext(address)
    findings = []
    with serving as url:
        for lock in locks:
            for package in _ask(lock, url):
                findings += [_finding(lock, package, one) for one in package.get("vulns", [])]
    return findings


def _ask(lock: Path, url: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), *ASK]
        # The server on this machine is asked directly.
        environment = os.environ | ({"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"} if "127.0.0.1" in url else {})
        answer = subprocess.run(
            [*command, "--vulnerability-service", "osv", "--osv-url", url, "--cache-dir", cache, "--timeout", "15"],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
    try:
        packages: list[dict[str, Any]] = json.loads(answer.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = answer.stderr.strip().splitlines() or ["pip-audit printed nothing"]
        if any("connect" in line.lower() or "resolve" in line.lower() for line in said):
            reason = re.search(r"Failed to resolve '[^']*'|Connection refused|timed? ?out", said[-1], re.IGNORECASE)
            raise UserError(OFFLINE.format(reason=reason[0] if reason else said[-1][:200])) from None
        raise UserError(f"pip-audit could not read {lock}: {said[-1]}") from None
    return packages


def _finding(lock: Path, package: dict[str, Any], advisory: dict[str, Any]) -> Finding:
    fixes = advisory["fix_versions"]
    fix = f"Fixed in {', '.join(fixes)}: raise it in pyproject.toml, then make lock." if fixes else "Not fixed yet."
    about = " ".join((advisory.get("description") or "").split())
    return Finding(
        str(lock),
        f"{package['name']}=={package['version']}",
        advisory["id"],
        f"{about[:120].rstrip('.')}. {fix}",
        tuple(advisory["aliases"]),
    )
