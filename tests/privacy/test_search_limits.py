"""What a sender put into the inbox to fill the disk or to lead elsewhere does neither, and is named."""

import gzip
import os
import py_compile
import shutil
from pathlib import Path

import pytest
from conftest import run

from churn.base.command import UserError
from churn.data.mapping import Mapping
from churn.deliveries.receive import Limits
from churn.privacy import search as search_module
from churn.privacy import workspace
from churn.privacy.delivered import id_columns
from churn.privacy.objects import remove_lists
from churn.privacy.places import DELIVERED, TEXT, UNKNOWN
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
        assert search.finds(log, TEXT)
        search.remove(log, TEXT)
        assert not search.finds(log, TEXT)
        server.write("printed later\n")
    assert log.read_text() == f"{''.join(headings)}kept\nprinted later\n"


def test_what_senders_delivered_is_searched_whatever_it_is(search, tmp_path):
    """A rejected delivery is one that the pipeline could not read: no header, another encoding, another name."""
    rows = "123,1,,1\n7,1,,1\n1234,1,,1\n"
    for content in (
        rows.encode(),
        f"customer_id,a,b,c\n{rows}".encode(),
        f"customer_id,a,b,c\n{rows}".encode("utf-16"),
        rows.encode("utf-16-be"),
        rows.replace("\n", "\r").encode(),
        gzip.compress(rows.encode()),
    ):
        path = tmp_path / "payments.csv"
        path.write_bytes(content)
        assert not search.finds(path) and search.finds(path, DELIVERED)
        search.remove(path, DELIVERED)
        assert not search.finds(path, DELIVERED)
        left = gzip.decompress(path.read_bytes()) if content[:2] == b"\x1f\x8b" else path.read_bytes()
        assert left == _without_123(content)
    for begin, what in (b"PK\x03\x04", "a zip archive"), (b"BZh9", "packed with bzip2"), (b"PAR1", "a Parquet file"):
        path.write_bytes(begin + b"123")
        with pytest.raises(UnsearchableError, match=rf"payments\.csv is {what}, so it cannot be searched"):
            search.finds(path, DELIVERED)


def _without_123(content):
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    for encoding in "utf-8", "utf-16-be", "utf-16-le":
        line = "123,1,,1".encode(encoding)
        end = next((end for end in ("\n", "\r") if line + end.encode(encoding) in content), None)
        if end:
            return content.replace(line + end.encode(encoding), b"", 1)
    raise AssertionError(content)


@pytest.mark.parametrize("user", ["1", "5", "30"])
def test_of_unknown_files_only_tables_are_touched(search, tmp_path, user):
    """Code and notes that mention a column of ids are their owner's; a number in them is seldom a user."""
    search.subject = Subject(user)
    root = tmp_path / "root"
    (root / "scripts/__pycache__").mkdir(parents=True)
    code = root / "scripts/new_step.py"
    code.write_text("for user_id in range(30):\n    print(1, 5)\n")
    compiled = py_compile.compile(str(code), str(root / "scripts/__pycache__/new_step.pyc"))
    (root / "users.csv").write_text(f"user_id,note\n7,a\n{user},b\n")
    (root / "page.html").write_text(f"<td>user_id</td><td>{user}</td>")
    packed = root / "notes.gz"
    packed.write_bytes(gzip.compress(code.read_bytes()))
    files = {path: path.read_bytes() for path in (code, Path(compiled), root / "page.html", packed)}
    assert [one.path for one in workspace.search_folder(search, root)] == [root / "users.csv"]
    # The command names it for its owner.
    assert search.doubts == {code, packed}
    (root / "report.xlsx").write_bytes(b"PK\x03\x04 [Content_Types].xml")
    (root / "users.parquet").write_bytes(b"PAR1 cut off")
    workspace.search_folder(search, root)
    assert {path.name for path in search.doubts} == {code.name, packed.name, "report.xlsx", "users.parquet"}
    # The pipeline's own is no doubt: it stops the command.
    (root / "data/features").mkdir(parents=True)
    (root / "data/features/churn_features.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(UnsearchableError, match=r"churn_features\.parquet is a damaged Parquet file"):
        workspace.search_folder(search, root)
    shutil.rmtree(root / "data")
    (root / "report.xlsx").unlink()
    (root / "users.parquet").unlink()
    search.remove(root / "users.csv", UNKNOWN)
    assert (root / "users.csv").read_text() == "user_id,note\n7,a\n"
    assert files == {path: path.read_bytes() for path in files}


def test_a_place_that_is_a_link_is_searched_where_it_leads_and_other_clones_are_not(search, tmp_path):
    root, disk = tmp_path / "root", tmp_path / "large disk"
    for name in "scores/2026-03-22", "data/features", "other":
        (disk / name).mkdir(parents=True)
        (disk / name / "table").write_bytes(TABLE)
    (disk / "data/raw/2026-03-22").mkdir(parents=True)
    (disk / "data/raw/2026-03-22/MARKETPLACE_DATA.csv").write_bytes(TABLE)
    (root / ".dvc/tmp/exps/one").mkdir(parents=True)
    for clone in root / "worktree", root / ".dvc/tmp/exps/one":
        (clone / "data").mkdir(parents=True)
        (clone / ".git").write_text("gitdir: elsewhere")
        (clone / "data/table").write_bytes(TABLE)
    (root / "data").symlink_to(disk / "data")
    (disk / "data/scores").symlink_to(disk / "scores")
    (root / "elsewhere").symlink_to(disk / "other")
    (root / "data/loop").symlink_to(root)
    found = workspace.search_folder(search, root)
    assert {str(one.path.relative_to(root)): one.place.name for one in found} == {
        "data/features/table": "features",
        "data/scores/2026-03-22/table": "scores",
        "data/raw/2026-03-22/MARKETPLACE_DATA.csv": "raw drops",
        ".dvc/tmp/exps/one/data/table": "DVC's scratch",
    }
    (root / "saved.csv").symlink_to(disk / "other/table")
    with pytest.raises(UserError, match=r"saved\.csv is a link to .*large disk/other/table, which holds the user"):
        workspace.search_folder(search, root)


def test_names_that_the_column_of_ids_had_before_count(tmp_path):
    run("git", "init", "--quiet", cwd=tmp_path)
    (tmp_path / "data").mkdir()
    mapping = tmp_path / "data/mapping.yaml"
    for name in "Cliente", '"Kunden Nr"', '"[now]"':
        mapping.write_text(f"columns:\n  CUS_CUST_ID_BUY: {name}  # theirs\n")
        run("git", "add", "--all", cwd=tmp_path)
        run("git", "commit", "--quiet", "--message", "A mapping", cwd=tmp_path)
    (tmp_path / "data/mapping.replaced.yaml").write_text("{columns: {CUS_CUST_ID_BUY: User, SPENT: Total}}\n")
    names = id_columns(Mapping(), tmp_path)
    assert {"cliente", "kunden nr", "[now]", "user", "user_id", "cus_cust_id_buy"} == names
    old = tmp_path / "object"
    old.write_text("Fecha;Cliente;Monto\n01/05/2024;123;1,00\n01/05/2024;7;1,00\n")
    assert Search(Subject("123"), Mapping(), tmp_path, names).finds(old)
    assert not Search(Subject("12"), Mapping(), tmp_path, names).finds(old)
    old.write_text("[Fecha],[now]\n01/05/2024,123\n")
    assert Search(Subject("123"), Mapping(), tmp_path, names).finds(old)
