"""Run git in the current folder."""

import subprocess

from churn.base.command import UserError


def run_git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git; return its exit code and its output as text."""
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)


def read_git(*arguments: str) -> str:
    """Return what git prints, without the last newline; raise `UserError` with git's message when it fails."""
    answer = run_git(*arguments)
    if answer.returncode:
        raise UserError(f"git {' '.join(arguments)} failed: {answer.stderr.strip()}")
    return answer.stdout.rstrip("\n")
