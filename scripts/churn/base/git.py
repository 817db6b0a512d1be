"""Run git in the current folder."""

import subprocess


def run_git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git; return its exit code and its output as text."""
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
