"""How the tests run commands, and with which environment."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
# Commands see the tools of this Python, and none of the developer's own settings.
OWN = ("DVC_", "SNAKEMAKE_", "MAKE", "MFLAGS", "PYTHONDONTWRITEBYTECODE")
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(OWN)},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "GIT_AUTHOR_NAME": "Tester",
    "GIT_AUTHOR_EMAIL": "tester@localhost",
    "GIT_COMMITTER_NAME": "Tester",
    "GIT_COMMITTER_EMAIL": "tester@localhost",
}


def wait_until(holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait for what other processes bring about; if it does not come, the test fails."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run(*command: object, cwd: Path, fails: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command; if it does not end as expected, the test fails with its output."""
    answer = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode != 0) is fails, f"{command}\n{answer.stdout}\n{answer.stderr}"
    if fails:
        assert "Traceback" not in answer.stderr, answer.stderr
    return answer
