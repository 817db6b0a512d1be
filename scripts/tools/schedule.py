"""Print, install or remove the daily run: a systemd user timer if available, otherwise a line in the crontab.

Reads
    nothing
Writes
    install: <XDG_CONFIG_HOME>/systemd/user/churn-pipeline-<id>.service and .timer, or a line in the user's crontab
"""

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from churn.base.command import UserError, run_command

COMMAND = "scripts scheduled_run"
SERVICE = """\
[Unit]
Description=The scheduled run of the churn pipeline in {root}

[Service]
Type=oneshot
WorkingDirectory={root}
ExecStart="{python}" {command}
"""
TIMER = """\
[Unit]
Description=The churn pipeline in {root}, daily at {at}

[Timer]
OnCalendar=*-*-* {at}:00
Persistent=true

[Install]
WantedBy=timers.target
"""


def show_schedule(root: Path, at: str) -> str:
    """Return what would be installed: the files or the line."""
    if has_systemd():
        return "\n".join(f"# {path}\n{text}" for path, text in unit_files(root, at).items())
    return cron_line(root, at)


def install_schedule(root: Path, at: str) -> str:
    """Install the daily run, replacing an existing one; return what was done.

    Raises
    ------
    UserError
        When this machine has neither systemd for users nor cron, or they fail.
    """
    if not has_systemd() and not shutil.which("crontab"):
        raise UserError(
            "This machine has neither systemd for users nor crontab. Install cron, or let another scheduler run daily: "
            f"{command_line(root)}"
        )
    remove_schedule(root)
    if not has_systemd():
        write_crontab([*read_crontab(), cron_line(root, at)])
        return f"Installed in the crontab: daily at {at}."
    for path, text in unit_files(root, at).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    systemctl("daemon-reload")
    systemctl("enable", "--now", f"{unit_name(root)}.timer")
    return (
        f"Installed {unit_name(root)}.timer: daily at {at}. It runs while you are logged in; to run always: "
        "loginctl enable-linger"
    )


def remove_schedule(root: Path) -> str:
    """Remove the daily run from systemd and the crontab; return what was done."""
    done = []
    units = [path for path in unit_files(root, "") if path.exists()]
    if units:
        if has_systemd():
            systemctl("disable", "--now", f"{unit_name(root)}.timer")
        for path in units:
            path.unlink()
        if has_systemd():
            systemctl("daemon-reload")
        done.append(f"Removed {unit_name(root)}.timer.")
    if shutil.which("crontab"):
        lines = read_crontab()
        kept = [line for line in lines if not line.endswith(cron_mark(root))]
        if kept != lines:
            write_crontab(kept)
            done.append("Removed the line from the crontab.")
    return " ".join(done) or "Nothing was installed for this folder."


def command_line(root: Path) -> str:
    """Return the shell command of one scheduled run."""
    return f"cd {shlex.quote(str(root))} && {shlex.quote(sys.executable)} {COMMAND}"


def cron_line(root: Path, at: str) -> str:
    """Return the line for the crontab; output goes to the log, not into mails."""
    hour, minute = at.split(":")
    # In a crontab, an unescaped % ends the command.
    command = f"{command_line(root)} >/dev/null 2>&1".replace("%", r"\%")
    return f"{int(minute)} {int(hour)} * * * {command}{cron_mark(root)}"


def cron_mark(root: Path) -> str:
    """Return the end of this repository's line in a crontab."""
    return f" # {unit_name(root)}"


def unit_name(root: Path) -> str:
    """Return the name of this repository's units, different for each clone on a machine."""
    return f"churn-pipeline-{hashlib.md5(str(root).encode()).hexdigest()[:8]}"


def unit_files(root: Path, at: str) -> dict[Path, str]:
    """Return the text of the service and of the timer by path."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd/user"
    # In a unit, % begins a specifier and $ a variable.
    python = re.sub(r'(["\\])', r"\\\1", sys.executable).replace("%", "%%").replace("$", "$$")
    values = {"root": str(root).replace("%", "%%"), "python": python, "command": COMMAND, "at": at}
    return {
        folder / f"{unit_name(root)}.service": SERVICE.format(**values),
        folder / f"{unit_name(root)}.timer": TIMER.format(**values),
    }


def has_systemd() -> bool:
    """Return whether systemd runs units for this user."""
    command = ["systemctl", "--user", "show-environment"]
    return bool(shutil.which("systemctl")) and not subprocess.run(command, capture_output=True, check=False).returncode


def systemctl(*arguments: str) -> None:
    """Run systemctl for this user."""
    run_tool(["systemctl", "--user", *arguments])


def read_crontab() -> list[str]:
    """Return the lines of the user's crontab."""
    done = subprocess.run(["crontab", "-l"], capture_output=True, text=True, check=False)
    if done.returncode and "no crontab" not in done.stderr:
        raise UserError(f"crontab -l: {done.stderr.strip()}. Nothing was changed.")
    return done.stdout.splitlines() if done.returncode == 0 else []


def write_crontab(lines: list[str]) -> None:
    """Replace the user's crontab with these lines."""
    run_tool(["crontab", "-"], "".join(f"{line}\n" for line in lines))


def run_tool(command: list[str], given: str = "") -> None:
    """Run a system command; raise `UserError` with its message if it fails."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def parse_time(text: str) -> str:
    """Return a time of day, HH:MM; raise `UserError` for anything else."""
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise UserError(f"AT is {text!r}, which is not a time of day. Example: 06:00.")
    return text


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--at", default="06:00", help="time of day, HH:MM (06:00)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--install", action="store_true", help="install it, replacing an existing one")
    what.add_argument("--remove", action="store_true", help="remove it")
    args = parser.parse_args()
    root, at = Path.cwd(), parse_time(args.at)
    if args.remove:
        print(remove_schedule(root))
    elif args.install:
        print(install_schedule(root, at))
    else:
        print(show_schedule(root, at))


if __name__ == "__main__":
    run_command(main)
