"""What a sender put into the inbox to fill the disk or to lead elsewhere does neither, and is named."""

import gzip
import os

import pytest

from churn.base.command import UserError
from churn.data.mapping import Mapping
from churn.deliveries.receive import Limits
from churn.privacy import search as search_module
from churn.privacy import workspace
from churn.privacy.objects import remove_lists
from churn.privacy.search import Search, UnsearchableError
from churn.privacy.subject import Subject

TABLE = b"CUS_CUST_ID_BUY,SPENT_ML,RECENCY_ML,FREQUENCY_ML\n123,1,,1\n"


@pytest.fixture
def search(tmp_path):
    (tmp_path / "scratch").mkdir()
    return Search(Subject("123"), Mapping(), tmp_path / "scratch")


def test_a_packed_file_is_unpacked_once_and_no_further_than_the_limit(search, tmp_path, monkeypatch):
    packed = tmp_path / "rows.csv.gz"
    packed.write_bytes(gzip.compress(TABLE))
    assert search.finds(packed)
    packed.write_bytes(gzip.compress(packed.read_bytes()))
    with pytest.raises(UnsearchableError, match=r"rows\.csv\.gz is packed more than once"):
        search.finds(packed)
    monkeypatch.setattr(search_module, "LIMITS", Limits(any_ratio_bytes=1 << 20, ratio=10))
    packed.write_bytes(gzip.compress(bytes(2 << 20)))
    with pytest.raises(UnsearchableError, match=r"rows\.csv\.gz is larger than"):
        search.finds(packed)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_only_regular_files_of_the_inbox_are_searched(search, tmp_path, monkeypatch):
    root, inbox, outside = (tmp_path / name for name in ("root", "inbox", "outside.csv"))
    root.mkdir()
    (inbox / "week 1").mkdir(parents=True)
    outside.write_bytes(TABLE)
    (inbox / "week 1/payments.csv").symlink_to(outside)
    os.mkfifo(inbox / "week 1/users.csv")
    (inbox / "week 1/marketplace.csv").write_bytes(TABLE)
    monkeypatch.setenv("CHURN_INBOX", str(inbox))
    assert [one.path.name for one in workspace.search_folder(search, root)] == ["marketplace.csv"]

    def fail(*_):
        raise PermissionError(13, "Permission denied", str(inbox / "week 1"))

    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: fail() if str(path).endswith("week 1") else real(path))
    with pytest.raises(UserError, match="week 1 cannot be searched"):
        workspace.search_folder(search, root)


def test_a_damaged_list_of_files_goes_and_is_no_traceback(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".dvc/cache/files/md5/ab"
    folder.mkdir(parents=True)
    contents = {"1.dir": b'[{"md5": "x', "2.dir": b"\xff\xfe", "3.dir": b'[{"md5": "gone", "relpath": "a"}]'}
    contents |= {"4.dir": b'[{"md5": "kept", "relpath": "a"}]'}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    run = tmp_path / ".dvc/cache/runs/a"
    run.parent.mkdir()
    run.write_bytes(b"\xff outs: gone")
    remove_lists(tmp_path, {"gone"})
    assert [path.name for path in folder.iterdir()] == ["4.dir"] and not run.exists()


def test_a_log_is_cut_in_place_and_its_headings_stay(search, tmp_path):
    log = tmp_path / "schedule.log"
    headings = ["==== 2026-03-29 02:00:00+01:00\n", "==== 2026-04-01 02:00:00+02:00\n"]
    search.subject = Subject("29")
    log.write_text(f"{headings[0]}a row of 29\n==== 29\n{headings[1]}kept\n")
    with log.open("a") as server:
        assert search.finds(log, is_text=True)
        search.remove(log, is_text=True)
        assert not search.finds(log, is_text=True)
        server.write("printed later\n")
    assert log.read_text() == f"{''.join(headings)}kept\nprinted later\n"
