"""Links, names, times and permissions that a sender can set, and a full disk: nothing is lost or overwritten."""

import os
import shutil
import subprocess
import sys
from datetime import datetime

import pytest
from conftest import ENVIRONMENT, ROOT, call_script
from rights import without_rights
from test_broken_deliveries import HEADER, SECRET, reason
from test_ingest_drop import repository, source, write_payments  # noqa: F401
from test_ingest_inbox import TEN_MINUTES, deliver, inbox, listed, look, names_in  # noqa: F401

from churn.base.command import UserError
from churn.deliveries import receive
from churn.deliveries.aside import write_reason
from churn.deliveries.inbox_layout import IN_INBOX, read_rejected
from churn.deliveries.receive import receive_delivery


def test_a_time_in_the_future_does_not_make_a_delivery_wait_forever(inbox, deliver):  # noqa: F811
    folder, future = deliver("a", ready=False), datetime(2099, 1, 1).timestamp()
    for path in (*folder.iterdir(), folder):
        os.utime(path, (future, future))
    assert look(inbox) == [] and names_in(inbox) == ["a"]
    assert look(inbox, later=TEN_MINUTES) == [] and listed(inbox) == ["2026-03-08"]


def test_other_things_in_the_inbox_are_moved_aside_after_the_quiet_time(inbox, deliver, capsys):  # noqa: F811
    (inbox / "all.zip").write_bytes(b"PK\x03\x04")
    os.mkfifo(inbox / "pipe")
    for name in "Thumbs.db", ".DS_Store", "notes.txt~":
        (inbox / name).touch()
    deliver("good")
    assert look(inbox) == []
    assert "pipe must wait: it is a FIFO; a delivery must be a folder" in capsys.readouterr().out
    assert look(inbox, later=TEN_MINUTES) == ["all.zip", "pipe"]
    assert names_in(inbox / "rejected/all.zip") == ["all.zip", "reason.txt"]
    assert "is a FIFO" in reason(inbox, "pipe") and "Thumbs.db" in names_in(inbox)


def test_a_delivery_brings_no_settings_for_dvc(inbox, deliver):  # noqa: F811
    shutil.copy(ROOT / ".dvcignore", inbox.parent)
    folder = deliver("a")
    for name in "dvc.yaml", "x.dvc", ".dvcignore", "dvc.lock":
        (folder / name).write_text("[broken: {")
    assert look(inbox) == [] and listed(inbox) == ["2026-03-08"]


def test_names_that_nobody_can_print_or_that_are_long(inbox, deliver, capsys):  # noqa: F811
    names = ["a\nERROR: x", os.fsdecode(b"b\xff"), "c" * 255]
    for name in names:
        (deliver(name) / "PAYMENTS.csv").write_text("")
    (inbox / "rejected" / names[2]).mkdir(parents=True)
    deliver("good")
    assert sorted(look(inbox)) == [*names[:2], "c" * 240 + "-2"]
    assert listed(inbox) == ["2026-03-08"]
    assert "\nERROR" not in capsys.readouterr().out
    assert all("is empty" in one for one in read_rejected(inbox).values()) and len(read_rejected(inbox)) == 3


@pytest.mark.parametrize("place", [".lock", "rejected", ".done"])
def test_the_inbox_has_no_links_of_its_own(inbox, deliver, place):  # noqa: F811
    target = inbox.parent / "precious"
    target.write_text("keep")
    (inbox / place).symlink_to(target)
    deliver("a")
    with pytest.raises(UserError, match=rf"{place} is a link"):
        look(inbox)
    assert target.read_text() == "keep" and (inbox / "a").is_dir()


def test_a_reason_is_not_written_through_a_link_that_comes_late(inbox, deliver):  # noqa: F811
    folder, target = deliver("a"), inbox.parent / "precious"
    target.write_text("keep")
    (folder / "reason.txt").symlink_to(target)
    write_reason(folder, "it is broken", inbox)
    assert target.read_text() == "keep" and (folder / "reason.txt").read_text() == "it is broken\n"
    assert (folder / "reason.txt-2").is_symlink()
    (inbox / "link").symlink_to(folder)
    with pytest.raises(UserError, match="is a link"):
        write_reason(inbox / "link", "it is broken", inbox)
    # Nor is one in rejected/ read into an alert.
    (inbox / "rejected/a").mkdir(parents=True)
    (inbox / "rejected/a/reason.txt").symlink_to(target)
    assert read_rejected(inbox) == {}


def test_a_file_replaced_by_a_link_after_the_check_is_not_followed(source, tmp_path, monkeypatch):  # noqa: F811
    secret, look_up = tmp_path / ".env", os.stat
    secret.write_text(SECRET)

    def replace_after(path, *arguments, **options):
        found = look_up(path, *arguments, **options)
        if path == "PAYMENTS.csv" and not (source / "PAYMENTS.csv").is_symlink():
            calls.append(path)
            # The first look is at the size, the second is just before the file is opened.
            if len(calls) == 2:
                (source / "PAYMENTS.csv").unlink()
                (source / "PAYMENTS.csv").symlink_to(secret)
        return found

    calls: list[str] = []
    monkeypatch.setattr(os, "stat", replace_after)
    with pytest.raises(UserError, match=r"PAYMENTS.csv cannot be read \(Too many levels of symbolic links\)"):
        receive_delivery(source, tmp_path / "copy", {}, follow_links=False)
    assert len(calls) == 2 and not (tmp_path / "copy").exists()


def test_on_a_full_disk_a_delivery_stays_and_is_ingested_later(inbox, deliver, monkeypatch):  # noqa: F811
    deliver("a")
    deliver("b", "2026-03-15")
    original = receive.shutil.disk_usage
    usage = original(inbox)
    calls: list[int] = []

    def full_at_first(path):
        calls.append(1)
        return usage._replace(free=0) if len(calls) == 1 else usage

    monkeypatch.setattr(receive.shutil, "disk_usage", full_at_first)
    assert look(inbox) == ["a"] and listed(inbox) == ["2026-03-15"]
    assert (inbox / "a/PAYMENTS.csv").exists() and "0 bytes free" in reason(inbox, f"a{IN_INBOX}")
    before = read_rejected(inbox)
    calls.clear()
    assert look(inbox) == ["a"] and read_rejected(inbox) == before
    assert look(inbox) == [] and listed(inbox) == ["2026-03-08", "2026-03-15"] and read_rejected(inbox) == {}


def test_a_disk_that_fills_while_a_file_is_written_loses_nothing(inbox, deliver):  # noqa: F811
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    big = deliver("big", "2026-03-01") / "DEMOGRAFICOS.csv"
    with big.open("ab") as file:
        file.write(b"7,1,F,GOLD,Salta\n" * 200_000)
    deliver("good")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    try:
        assert look(inbox) == ["big"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert listed(inbox) == ["2026-03-08"] and "could not be copied: File too large" in reason(inbox, f"big{IN_INBOX}")
    assert look(inbox) == [] and listed(inbox) == ["2026-03-01", "2026-03-08"]


def test_folders_and_files_without_permission(inbox, deliver):  # noqa: F811
    command = without_rights()
    shutil.copy(ROOT / ".dvcignore", inbox.parent)
    for name in "folder", "file", "listed":
        deliver(name, "2026-03-01", ready=False)
    deliver("good")
    (inbox / "file/DEMOGRAFICOS.csv").chmod(0)
    (inbox / "folder").chmod(0)
    # Its files have names, but cannot be looked at.
    (inbox / "listed").chmod(0o444)
    try:
        done = subprocess.run(
            [*command, sys.executable, ROOT / "scripts", "inbox", "--stable-minutes", "0"],
            cwd=inbox.parent,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for name in "folder", "listed":
            (inbox / name).chmod(0o755)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stdout + done.stderr
    assert listed(inbox) == ["2026-03-08"], done.stdout + done.stderr
    assert "DEMOGRAFICOS.csv cannot be read (Permission denied)" in reason(inbox, "file")
    assert "inbox/folder cannot be read (Permission denied)" in reason(inbox, f"folder{IN_INBOX}")
    assert "Rejected, each with reason.txt: inbox/rejected/file." in done.stderr
    assert "inbox/listed cannot be read (Permission denied)" in reason(inbox, f"listed{IN_INBOX}")
    assert "Still in the inbox: inbox/folder, inbox/listed." in done.stderr


def test_the_first_line_of_a_reason_has_no_row(inbox, deliver):  # noqa: F811
    write_payments(deliver("dates"), "08/03/2026,SECRET,1001,12.50,Instore,0.05\n" * 3)
    (deliver("bytes") / "PAYMENTS.csv").write_bytes(HEADER + b"SECRET" + bytes(range(256)) * 100)
    (deliver("cell") / "PAYMENTS.csv").write_bytes(HEADER + b'"' + b"SECRET" * 50_000 + b"\n")
    assert sorted(look(inbox)) == ["bytes", "cell", "dates"]
    assert "08/03/2026" in reason(inbox, "dates").splitlines()[1]
    reasons = read_rejected(inbox)
    assert len(reasons) == 3
    for one in reasons.values():
        assert "SECRET" not in one and "08/03" not in one and "example" not in one
    assert "08/03" not in call_script("inbox", cwd=inbox.parent).stdout


def test_unknown_columns_are_one_short_line_whatever_their_names(inbox, deliver, capsys):  # noqa: F811
    path = deliver("wide") / "DEMOGRAFICOS.csv"
    header, *rows = path.read_text().splitlines()
    names = ["\x1b[2J", "<b>", *(f"c{number}" for number in range(3000))]
    path.write_text("\n".join([f"{header},{','.join(names)}", *(f"{row}{',' * len(names)}" for row in rows)]) + "\n")
    assert look(inbox) == []
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "ignoring unknown columns" in line]
    assert line.endswith("c0, c1, c2, c3, c4, c5, c6, c7 and 2992 more") and line.isprintable()


def test_a_file_of_empty_lines_is_refused_before_it_is_read(source, tmp_path):  # noqa: F811
    with (source / "DEMOGRAFICOS.csv").open("ab") as file:
        file.write(b"\n" * 5_000)
    with pytest.raises(UserError, match=r"has 5,\d+ lines in .* kB: nearly all of them are empty"):
        receive_delivery(source, tmp_path / "copy", {}, follow_links=False, limits=receive.Limits(lines=1_000))
