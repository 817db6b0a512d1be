"""The inbox: complete deliveries are ingested, broken ones rejected, and arriving ones wait."""

import fcntl
import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, ROOT, run
from delivery_rules import RULES
from test_ingest_drop import everything_in, is_tracked, pack, repository, source, write_payments  # noqa: F401

from churn.base.command import UserError
from churn.base.drops import read_list, write_list
from churn.deliveries.aside import reject
from churn.deliveries.inbox import ingest_inbox
from churn.deliveries.inbox_layout import read_rejected

COMMAND = (sys.executable, ROOT / "scripts", "inbox")
TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def inbox(repository):  # noqa: F811  fixtures of test_ingest_drop
    folder = repository / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def deliver(source, inbox):  # noqa: F811
    """Put a delivery with one day's payments into the inbox."""

    def put(name: str, day: str = "2026-03-08", ready: bool = True) -> Path:
        folder = shutil.copytree(source, inbox / name)
        write_payments(folder, f"{day},S1,1001,12.50,Instore,0.05\n")
        if ready:
            (folder / "_READY").touch()
        return folder

    return put


def look(inbox: Path, later: timedelta = timedelta(0)) -> list[str]:
    """Look into the inbox, as if it were later; return the names of what was moved aside."""
    root = inbox.parent
    now = datetime.now().astimezone() + later
    rejected = ingest_inbox(inbox, root / "data/raw", root / "data/drops.yaml", TEN_MINUTES, now, RULES)
    return [path.name for path in rejected]


def listed(inbox: Path) -> list[str]:
    return [str(drop) for drop in read_list(inbox.parent / "data/drops.yaml")[1]]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock") if folder.exists() else []


def test_complete_deliveries_go_in_oldest_first_and_are_kept(inbox, deliver, capsys):
    deliver("a", "2026-03-15")
    deliver("b", "2026-03-08")
    pack(deliver("c", "2026-03-01") / "PAYMENTS.csv")
    before = everything_in(inbox)
    assert look(inbox) == []
    assert listed(inbox) == ["2026-03-01", "2026-03-08", "2026-03-15"]
    said = capsys.readouterr().out
    assert said.index("Drop 2026-03-01") < said.index("Drop 2026-03-08") < said.index("Drop 2026-03-15")
    for day in listed(inbox):
        assert is_tracked(inbox.parent / "data/raw" / day)
    assert names_in(inbox) == [".done"] and names_in(inbox / ".done") == ["a", "b", "c"]
    kept = {
        inbox / path.relative_to(inbox / ".done"): content for path, content in everything_in(inbox / ".done").items()
    }
    assert kept == {path: content for path, content in before.items() if path.name != ".lock"}
    # Delivered again, under the same name: nothing twice, and nothing lost.
    deliver("a", "2026-03-15")
    assert look(inbox) == [] and "nothing to do" in capsys.readouterr().out
    assert names_in(inbox / ".done") == ["a", "a-2", "b", "c"]
    assert listed(inbox) == ["2026-03-01", "2026-03-08", "2026-03-15"]


def test_senders_can_read_why_and_a_new_inbox_is_open_to_them(tmp_path):
    before = os.umask(0o077)
    try:
        for rights, folder, file in (0o755, 0o755, 0o644), (0o750, 0o750, 0o640), (0o700, 0o700, 0o600):
            inbox = tmp_path / f"{rights:o}"
            inbox.mkdir()
            inbox.chmod(rights)
            (inbox / "broken").mkdir()
            (inbox / "single.csv").touch()
            for name in "broken", "single.csv":
                moved = reject(inbox / name, inbox, "why")
                assert (moved / "reason.txt").stat().st_mode & 0o777 == file
            assert {path.stat().st_mode & 0o777 for path in (inbox / "rejected", moved)} == {folder}
    finally:
        os.umask(before)
    tmp_path.chmod(0o755)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "data").mkdir()
    shutil.copy(ROOT / "data/mapping.yaml", tmp_path / "data")
    run(*COMMAND, cwd=tmp_path)
    assert (tmp_path / "inbox").stat().st_mode & 0o777 == 0o755


def test_a_broken_delivery_is_rejected_with_the_reason_and_the_others_are_ingested(inbox, deliver):
    deliver("good", "2026-03-08")
    (deliver("header", "2026-03-01") / "DEMOGRAFICOS.csv").write_text("CUS_CUST_ID_BUY,AGE\n1,2\n")
    (deliver("cut", "2026-03-01") / "PAYMENTS.csv").unlink()
    (inbox / "cut" / "PAYMENTS.csv.gz").write_bytes(gzip.compress(b"FECHA" * 1000)[:-9])
    garbage = deliver("bytes", "2026-03-01") / "PAYMENTS.csv"
    garbage.write_bytes(garbage.read_bytes().splitlines(True)[0] + bytes(range(256)) * 100)
    deliver("other content", "2026-03-08")
    (inbox / "other content" / "ACTIVE_USER.csv").write_bytes(
        (inbox / "good" / "ACTIVE_USER.csv").read_bytes() + b"7,1,1,1,\n"
    )
    files = everything_in(inbox)
    assert sorted(look(inbox)) == ["bytes", "cut", "header", "other content"]
    assert listed(inbox) == ["2026-03-08"] and is_tracked(inbox.parent / "data/raw/2026-03-08")
    reasons = {label.partition(" (")[0]: reason for label, reason in read_rejected(inbox).items()}
    assert "cannot be unpacked" in reasons["cut"] and "column GENDER, CARD_TYPE, CITY is missing" in reasons["header"]
    assert "201 of 201 rows are bad" in reasons["bytes"]
    assert "different content (ACTIVE_USER.csv)" in reasons["other content"]
    for path, content in files.items():
        if path.name != ".lock" and "good" not in path.parts:
            assert (inbox / "rejected" / path.relative_to(inbox)).read_bytes() == content
    # Corrected and moved back, it is ingested, with its old reason beside it.
    back = (inbox / "rejected/header").rename(inbox / "header")
    shutil.copy(inbox / ".done/good/DEMOGRAFICOS.csv", back)
    assert look(inbox) == [] and listed(inbox) == ["2026-03-01", "2026-03-08"]


def test_an_arriving_delivery_waits_and_the_reason_is_printed(inbox, deliver, capsys):
    deliver("no marker", ready=False)
    (deliver("lacks one", ready=False) / "PAYMENTS.csv").unlink()
    (deliver("says ready") / "PAYMENTS.csv").unlink()
    os.utime(inbox / "no marker/PAYMENTS.csv", (0, 0))  # as a copy that keeps the times
    (inbox / "PAYMENTS.csv").touch()
    (inbox / ".upload").mkdir()
    before = everything_in(inbox)
    assert look(inbox) == []
    assert {path for path in everything_in(inbox) if path.name != ".lock"} == set(before)
    said = capsys.readouterr().out
    assert "no marker must wait: it changed less than 10 minutes ago and has no _READY" in said
    assert "lacks one must wait: PAYMENTS.csv missing or not readable yet" in said
    assert "PAYMENTS.csv must wait: a delivery must be a folder" in said
    # Ten minutes later one is complete, and the others are broken.
    assert look(inbox, later=TEN_MINUTES) == ["PAYMENTS.csv", "lacks one", "says ready"]
    assert listed(inbox) == ["2026-03-08"]
    assert names_in(inbox) == [".done", ".upload", "rejected"]


def test_what_is_no_deliverys_fault_moves_none(inbox, deliver):
    deliver("a")
    root = inbox.parent
    write_list(root / "data/drops.yaml", "demo", [date(2026, 1, 4)])
    with pytest.raises(UserError, match="make clear-demo"):
        look(inbox)
    write_list(root / "data/drops.yaml", "none", [])
    (root / ".dvc/config").write_text("[core\n")
    with pytest.raises(UserError, match="DVC could not track"):
        look(inbox)
    assert names_in(inbox) == ["a"]
    (root / ".dvc/config").write_text("")
    assert look(inbox) == [] and listed(inbox) == ["2026-03-08"]
    with pytest.raises(UserError, match=r"nowhere is not a folder\. Create it, or correct CHURN_INBOX"):
        look(root / "nowhere")


def test_the_command_fails_after_a_rejection_and_commits_the_ingested_drops(inbox, deliver):
    root = inbox.parent
    deliver("good")
    (deliver("broken") / "ACTIVE_USER.csv").write_text("")
    (root / "other.txt").write_text("not to be committed")
    run("git", "add", "other.txt", cwd=root)
    answer = run(*COMMAND, "--commit", cwd=root, fails=True)
    assert answer.stderr.startswith("ERROR: Rejected, each with reason.txt: inbox/rejected/broken.")
    assert "good was moved to inbox/.done/good." in answer.stdout
    committed = run("git", "show", "--name-only", "--format=%s", cwd=root).stdout.split()
    assert committed == ["Drop", "2026-03-08", "data/drops.yaml", "data/raw/2026-03-08.dvc"]
    assert run(*COMMAND, "--commit", cwd=root).stdout == "No complete delivery in inbox.\n"
    other = inbox.rename(root / "elsewhere")
    deliver_again = shutil.move(other / ".done/good", other / "good")
    assert Path(deliver_again).exists()
    answer = run(*COMMAND, cwd=root, CHURN_INBOX="elsewhere")
    assert "good was moved to elsewhere/.done/good." in answer.stdout
    assert len(run("git", "log", "--format=%h", cwd=root).stdout.split()) == 1


def test_drops_of_a_project_in_a_subfolder_are_committed(tmp_path, inbox, deliver):
    deliver("good")
    project = shutil.copytree(inbox.parent, tmp_path / "monorepo/teams/churn")
    shutil.rmtree(project / ".git")
    run("git", "init", "--quiet", cwd=tmp_path / "monorepo")
    assert "git did not commit" not in run(*COMMAND, "--commit", cwd=project).stdout
    committed = run("git", "show", "--name-only", "--format=%s", cwd=project).stdout.split()
    paths = ("data/drops.yaml", "data/raw/2026-03-08.dvc")
    assert committed == ["Drop", "2026-03-08", *(f"teams/churn/{path}" for path in paths)]


def start(inbox: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, "--inbox", inbox],
        cwd=inbox.parent,
        env=ENVIRONMENT,
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("sign", ["data/raw/2026-03-01", "data/raw/2026-03-01.dvc", "data/drops.yaml"])
def test_killed_and_run_again_nothing_is_lost_and_nothing_twice(inbox, deliver, sign):
    for name, day in ("a", "2026-03-01"), ("b", "2026-03-08"):
        deliver(name, day)
    files = {path.relative_to(inbox): content for path, content in everything_in(inbox).items()}
    (inbox.parent / "data/drops.yaml").unlink()
    process = start(inbox)
    while not (inbox.parent / sign).exists():
        assert process.poll() is None
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    run(*COMMAND, cwd=inbox.parent)
    assert listed(inbox) == ["2026-03-01", "2026-03-08"]
    assert {path.relative_to(inbox / ".done") for path in everything_in(inbox / ".done")} == set(files)
    assert names_in(inbox) == [".done"]
    for day in listed(inbox):
        assert is_tracked(inbox.parent / "data/raw" / day)


def test_two_at_once_take_turns(inbox, deliver):
    deliver("a")
    both = [start(inbox), start(inbox)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("Drop 2026-03-08 is now in" in text for text in said) == [False, True]
    assert names_in(inbox / ".done") == ["a"] and listed(inbox) == ["2026-03-08"]


def test_a_delivery_stays_until_its_drop_is_saved(inbox, deliver):
    """As in a weekly run on a Git host whose push fails: the next run has a new checkout, and finds the delivery."""
    deliver("a")
    root, now, saved = inbox.parent, datetime.now().astimezone(), []
    places = (inbox, root / "data/raw", root / "data/drops.yaml", TEN_MINUTES, now, RULES)

    def refuse():
        raise UserError("no network")

    with pytest.raises(UserError, match="no network"):
        ingest_inbox(*places, save=refuse)
    assert names_in(inbox) == ["a"]
    for path in root.glob("data/raw/*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_list(root / "data/drops.yaml", "none", [])
    assert ingest_inbox(*places, save=lambda: saved.append(names_in(inbox))) == []
    assert saved == [["a"]] and names_in(inbox / ".done") == ["a"] and listed(inbox) == ["2026-03-08"]


def test_a_running_snakemake_refuses_deliveries(inbox, deliver):
    deliver("a")
    lock = inbox.parent / ".snakemake/freshness/lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        before = everything_in(inbox.parent)
        answer = run(*COMMAND, cwd=inbox.parent, fails=True)
        assert answer.stderr.startswith("ERROR: Snakemake is running, or ") and "Nothing was changed" in answer.stderr
        assert {name for name in everything_in(inbox.parent) if ".lock" not in str(name)} == set(before)
    run(*COMMAND, cwd=inbox.parent)
    assert listed(inbox) == ["2026-03-08"]


def test_a_delivery_stays_when_git_does_not_commit_its_drop(inbox, deliver):
    deliver("a")
    root, saved = inbox.parent, []
    hook = root / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho not now >&2\nexit 1\n")
    hook.chmod(0o755)
    places = (inbox, root / "data/raw", root / "data/drops.yaml", TEN_MINUTES, datetime.now().astimezone(), RULES, True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        with pytest.raises(UserError, match=r"git did not commit .*not now"):
            ingest_inbox(*places, save=lambda: saved.append(1))
    assert names_in(inbox) == ["a"] and not saved
