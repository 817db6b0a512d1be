"""Run commands without root's right to read everything."""

import os
import shutil
import subprocess

import pytest

# Root may read everything, unless it gives these two rights away.
WITHOUT_RIGHTS = [
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
]


def without_rights() -> list[str]:
    """Return what comes before a command, nothing for a user who is not root; or skip the test."""
    command = [] if os.geteuid() else WITHOUT_RIGHTS
    if command and (not shutil.which("setpriv") or subprocess.run([*command, "true"], check=False).returncode):
        pytest.skip("root cannot give its rights away here")
    return command
