"""A daily run: installed once, taken out again, never two at once, and nothing to do without new bytes."""

import fcntl
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, ROOT, run
from message_servers import SECRET

COMMAND = (sys.executable, ROOT / "scripts", "schedule")
# Stand-ins: the tests touch no schedule of the machine that they run on, and it may have neither systemd nor cron.
CRONTAB = """#!/bin/sh
case $1 in
  -l) cat "$HOME/crontab" 2>/dev/null || { echo "no crontab for me" >&2; exit 1; } ;;
  -) cat > "$HOME/crontab" ;;
esac
"""
SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$HOME/systemctl.log"
exit {code}
"""


@pytest.fixture
def machine(tmp_path):
    """Return a function that gives the environment of a machine with cron, and systemd for users or not."""

    def with_systemd(works: bool) -> dict[str, str]:
        tools = tmp_path / f"tools-{works}"
        tools.mkdir()
        for name, text in ("crontab", CRONTAB), ("systemctl", SYSTEMCTL.format(code=int(not works))):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        path = f"{tools}:{ENVIRONMENT['PATH']}"
        return {"PATH": path, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}

    return with_systemd


@pytest.fixture
def folder(tmp_path):
    """A repository's folder whose name means something to a shell, to cron and to systemd."""
    made = tmp_path / "100% $HOME 'mine'"
    made.mkdir()
    return made


def test_a_line_for_cron_is_installed_once_and_taken_out(machine, folder, tmp_path):
    cron, crontab = machine(False), tmp_path / "crontab"
    printed = run(*COMMAND, "--at", "07:05", cwd=folder, **cron).stdout
    assert printed.startswith("5 7 * * * cd ") and not crontab.exists()
    crontab.write_text("MAILTO=me\n0 1 * * * other\n")
    for at in "06:00", "07:05":
        assert "Installed in the crontab" in run(*COMMAND, "--install", "--at", at, cwd=folder, **cron).stdout
    assert crontab.read_text() == f"MAILTO=me\n0 1 * * * other\n{printed}"
    # Another clone's line is another.
    (tmp_path / "clone").mkdir()
    run(*COMMAND, "--install", cwd=tmp_path / "clone", **cron)
    run(*COMMAND, "--remove", cwd=folder, **cron)
    assert len(crontab.read_text().splitlines()) == 3 and str(tmp_path / "clone") in crontab.read_text()
    assert "Nothing was installed" in run(*COMMAND, "--remove", cwd=folder, **cron).stdout


def test_a_timer_of_systemd_is_installed_once_and_taken_out(machine, folder, tmp_path):
    (folder / "scripts").mkdir()
    systemd, units = machine(True), tmp_path / "config/systemd/user"
    run(*COMMAND, "--install", cwd=folder, **machine(False))
    run(*COMMAND, "--install", cwd=folder, **systemd)
    said = run(*COMMAND, "--install", "--at", "07:05", cwd=folder, **systemd).stdout
    assert (tmp_path / "crontab").read_text() == ""  # not both
    (timer,), (service,) = units.glob("*.timer"), units.glob("*.service")
    assert said.startswith(f"Installed {timer.name}: daily at 07:05.") and timer.stem == service.stem
    assert "OnCalendar=*-*-* 07:05:00" in timer.read_text()
    calls = (tmp_path / "systemctl.log").read_text().splitlines()
    assert calls[-2:] == ["--user daemon-reload", f"--user enable --now {timer.name}"]
    assert run(*COMMAND, "--at", "07:05", cwd=folder, **systemd).stdout.count(str(units)) == 2
    if shutil.which("systemd-analyze"):
        checked = subprocess.run(
            ["systemd-analyze", "--user", "verify", timer, service],
            env=ENVIRONMENT | {"XDG_RUNTIME_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        warnings = [line for line in checked.stderr.splitlines() if service.stem in line]
        assert not warnings and checked.returncode == 0, checked.stderr
    run(*COMMAND, "--remove", cwd=folder, **systemd)
    assert not list(units.iterdir())
    assert f"--user disable --now {timer.name}" in (tmp_path / "systemctl.log").read_text()


def test_mistakes_end_with_one_message(machine, folder, tmp_path):
    for wrong in "6", "24:00", "six":
        message = run(*COMMAND, "--at", wrong, cwd=folder, fails=True, **machine(False) if wrong == "6" else {})
        assert message.stderr.startswith(f"ERROR: AT is {wrong!r}, which is not a time of day.")
    bare = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    message = run(*COMMAND, "--install", cwd=folder, fails=True, **bare).stderr
    assert "neither systemd for users nor crontab" in message and "scripts scheduled_run" in message


def stage_logs(repository: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (repository / "logs").rglob("*") if path.name != "schedule.log"}


def test_the_printed_line_runs_as_cron_would_and_without_new_bytes_nothing_does(machine, demo_copy):
    line = run(sys.executable, demo_copy / "scripts", "schedule", cwd=demo_copy, **machine(False)).stdout
    command = re.fullmatch(r"0 6 \* \* \* (.*)\n", line)[1].replace(r"\%", "%")
    before = stage_logs(demo_copy)
    for times in 1, 2:
        subprocess.run(
            ["/bin/sh", "-c", command], cwd="/", env={"HOME": "/nowhere", "PATH": "/usr/bin:/bin"}, check=True
        )
        log = (demo_copy / "logs/schedule.log").read_text()
        assert log.count("No complete delivery in inbox.") == log.count("Nothing to be done") == times
        assert log.count("Decision    promote.") == times
    assert stage_logs(demo_copy) == before
    # Never two at once.
    with (demo_copy / ".snakemake/schedule.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = run(sys.executable, "scripts", "scheduled_run", cwd=demo_copy).stdout
        assert said == "Another scheduled run is already running here; nothing to do.\n"
    # Own drops are not mixed with the demo's: the run goes on, and a message is sent.
    assert (demo_copy / "logs/schedule.log").read_text() == log


def test_a_failure_is_sent_and_the_run_continues(demo_repository, tmp_path, web):
    repository = shutil.copytree(demo_repository, tmp_path / "repository", symlinks=True)
    delivery = shutil.copytree(repository / "data/raw/2026-03-22", repository / "inbox/2026-03-22")
    (delivery / "_READY").touch()
    (repository / "Snakefile").write_text("abacus\n")
    answer = run(sys.executable, "scripts", "scheduled_run", cwd=repository, fails=True, CHURN_NOTIFY_URLS=web.url)
    assert answer.stderr == "ERROR: The scheduled run failed; the reason is printed above and in logs/schedule.log.\n"
    # The demo's drops are listed, not the delivery's fault; and Snakemake never began: what it says of that may
    # quote a file, and stays here.
    (message,) = web.messages
    assert message["title"] == "churn-model: failure of inbox, snakemake"
    assert "make clear-demo" in message["message"] and "abacus" not in message["message"]
    assert "snakemake: it ended without a clear message" in message["message"]
    assert delivery.exists()

    (repository / "data/drops.yaml").write_text("source: none\ndrops: []\n")
    (delivery / "PAYMENTS.csv").unlink()
    (delivery / "PAYMENTS.csv").write_text("")
    run(sys.executable, "scripts", "scheduled_run", cwd=repository, fails=True, CHURN_NOTIFY_URLS=web.url)
    assert re.search(r"inbox: 2026-03-22 \(.*\) rejected: .*PAYMENTS.csv is empty", web.messages[1]["message"])
    assert (repository / "inbox/rejected/2026-03-22/reason.txt").exists()
    assert SECRET not in (repository / "logs/schedule.log").read_text() + answer.stdout
