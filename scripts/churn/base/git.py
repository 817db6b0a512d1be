"""Git, asked in this folder."""

import subprocess


def run_git(*arguments: str) -> subprocess.CompletedProcess:
    """Run git and return its exit code and, as text, what it prints."""
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
