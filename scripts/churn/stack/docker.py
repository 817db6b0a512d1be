"""Ask Docker, and give it orders, by its command line."""

import json
import subprocess
from typing import Any

from churn.base.command import UserError

# An unreachable Docker would otherwise be waited for without end.
ANSWER_SECONDS = 20


def compose(*arguments: str, environment: dict[str, str], text: str = "") -> str:
    """Run `docker compose`, and return what it prints."""
    return run_docker("compose", *arguments, environment=environment, text=text)


def run_docker(*arguments: str, environment: dict[str, str], text: str = "") -> str:
    """Run `docker` with a text as its input, and return what it prints.

    Raises
    ------
    UserError
        When it fails, with the end of its messages.
    """
    command = ["docker", *arguments]
    answer = subprocess.run(command, env=environment, input=text, capture_output=True, text=True, check=False)
    if answer.returncode:
        said = "\n".join(f"    {line}" for line in (answer.stdout + answer.stderr).strip().splitlines()[-15:])
        what = " ".join(["docker", *arguments[:2]])
        raise UserError(f"{what} failed; the end of its messages:\n{said}\nFix that and run again, or: make up")
    return answer.stdout


def ask_docker(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a `docker` command that only asks; it fails when Docker is missing or does not answer in time."""
    command = ["docker", *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "Docker is not installed.")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer in {ANSWER_SECONDS} s.")


def reason_of(answer: "subprocess.CompletedProcess[str]") -> str:
    """Return the last line of what `docker` says about its failure."""
    return (answer.stderr.strip().splitlines() or ["no answer"])[-1]


def inspect_image(name: str) -> dict[str, Any] | None:
    """Return what Docker knows of an image, None if it is not on this machine."""
    answer = ask_docker("image", "inspect", name)
    return json.loads(answer.stdout)[0] if answer.returncode == 0 else None
