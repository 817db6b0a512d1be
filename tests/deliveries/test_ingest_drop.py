import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import date, timedelta

import pytest
import yaml
from conftest import ROOT
from delivery_rules import RULES, write_rules

from churn.base.command import UserError
from churn.base.drops import read_list, write_list
from churn.data.contract import FILES
from churn.deliveries import receive
from churn.deliveries.check import read_delivery
from churn.deliveries.date import check_drop_date
from churn.deliveries.folders import file_md5s, folder_md5, tracked_md5
from churn.deliveries.ingest import ingest_drop

COMMAND = (sys.executable, ROOT / "scripts", "ingest")
SEED = ROOT.parent / "shared/data/seed"
TODAY = date(2026, 11, 1)
ROWS = {
    "PAYMENTS.csv": "2026-03-01,S1,1001,12.50,Instore,0.05\n2026-03-08,S2,1002,7.00,Transport,\n",
    "ACTIVE_USER.csv": "1001,8,5,4,2026-03-02\n1002,2,1,1,2026-03-08\n",
    "DEMOGRAFICOS.csv": "1001,34,F,BLACK,Salta\n1002,41,M,GOLD,Rosario\n",
    "DINERO_CUENTA.csv": "1001,800.0,700.0,Investing\n1002,320.0,500.0,Elegible\n",
    "MARKETPLACE_DATA.csv": "1001,430.0,2026-02-28,6\n1002,0.0,,0\n",
}


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "delivery"
    folder.mkdir()
    for name, rows in ROWS.items():
        (folder / name).write_text(f"{','.join(FILES[name])}\n{rows}")
    return folder


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config").touch()
    (root / ".gitignore").write_text("/data/raw/????-??-??/\n")
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    write_list(root / "data/drops.yaml", "none", [])
    write_rules(root)
    return root


def ingest(source, repository, drop=None, replace=False):
    return ingest_drop(source, repository / "data/raw", repository / "data/drops.yaml", drop, replace, TODAY, RULES)


def write_payments(source, rows):
    (source / "PAYMENTS.csv").write_text(f"{','.join(FILES['PAYMENTS.csv'])}\n{rows}")


def everything_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_tracked(folder):
    return tracked_md5(folder) == folder_md5(file_md5s(folder, FILES))


def test_a_delivery_is_copied_tracked_and_listed(source, repository, capsys):
    (source / "notes.txt").write_text("not ours")
    assert ingest(source, repository) == date(2026, 3, 8)
    folder = repository / "data/raw/2026-03-08"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert file_md5s(folder, FILES) == file_md5s(source, FILES)
    assert is_tracked(folder)
    listed = yaml.safe_load((repository / "data/drops.yaml").read_text())
    previous = {"2026-03-08": "start"}
    assert listed == {"source": "own", "drops": ["2026-03-08"], "previous": previous, "newest": "2026-03-08"}
    assert sorted(path.name for path in (repository / "data/raw").iterdir()) == ["2026-03-08", "2026-03-08.dvc"]
    out = capsys.readouterr().out
    assert "Ignored" in out and "notes.txt" in out and "make run" in out

    before = everything_in(repository)
    ingest(source, repository)
    assert "nothing to do" in capsys.readouterr().out
    assert everything_in(repository) == before

    (source / "PAYMENTS.csv").write_text((source / "PAYMENTS.csv").read_text().replace("12.50", "13.50"))
    with pytest.raises(UserError, match=r"different content \(PAYMENTS.csv\).*edit its CSVs in .*--replace"):
        ingest(source, repository)
    assert everything_in(repository) == before
    ingest(source, repository, replace=True)
    assert "13.50" in (folder / "PAYMENTS.csv").read_text()
    assert is_tracked(folder)
    kept = (path.read_bytes() for path in (repository / ".dvc/cache").rglob("*") if path.is_file())
    assert any(b"12.50" in content for content in kept)


def test_replacing_a_drop_keeps_edits_that_dvc_has_not_seen(source, repository, capsys):
    ingest(source, repository)
    folder = repository / "data/raw/2026-03-08"
    (folder / "ACTIVE_USER.csv").write_text((folder / "ACTIVE_USER.csv").read_text() + "77,1,1,1,\n")
    edited = everything_in(folder)
    (source / "PAYMENTS.csv").write_text((source / "PAYMENTS.csv").read_text().replace("12.50", "13.50"))
    ingest(source, repository, replace=True)
    (copy,) = repository.glob("data/raw/.edited-2026-03-08*")
    assert f"edited by hand (ACTIVE_USER.csv), which DVC has not seen; a copy is in {copy}" in capsys.readouterr().out
    assert {path.name: content for path, content in everything_in(copy).items()} == {
        path.name: content for path, content in edited.items()
    }
    assert "13.50" in (folder / "PAYMENTS.csv").read_text() and is_tracked(folder)


def test_demo_and_own_drops_do_not_mix(source, repository):
    write_list(repository / "data/drops.yaml", "demo", [date(2026, 1, 4)])
    before = everything_in(repository)
    with pytest.raises(UserError, match="make clear-demo"):
        ingest(source, repository)
    assert everything_in(repository) == before


def test_a_delivery_that_was_copied_only_is_finished(source, repository):
    shutil.copytree(source, repository / "data/raw/2026-03-08")
    (repository / "data/raw/.2026-03-08.killed").mkdir()
    ingest(source, repository)
    assert is_tracked(repository / "data/raw/2026-03-08")
    (repository / "data/drops.yaml").unlink()
    ingest(source, repository)
    assert read_list(repository / "data/drops.yaml") == ("own", [date(2026, 3, 8)])


@pytest.mark.parametrize("moment", ["as the folder appears", "as the pointer appears"])
def test_a_killed_ingest_is_finished_by_another(source, repository, moment):
    command = [*COMMAND, source]
    folder, pointer = repository / "data/raw/2026-03-08", repository / "data/raw/2026-03-08.dvc"
    process = subprocess.Popen(command, cwd=repository, start_new_session=True, stdout=subprocess.DEVNULL)
    while not (folder if "folder" in moment else pointer).exists():
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert read_list(repository / "data/drops.yaml") == ("none", [])
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert is_tracked(folder)
    assert read_list(repository / "data/drops.yaml") == ("own", [date(2026, 3, 8)])
    assert sorted(path.name for path in (repository / "data/raw").iterdir()) == [folder.name, pointer.name]


def test_when_dvc_fails_the_list_does_not_name_the_drop(source, repository):
    (repository / ".dvc/config").write_text("[core\n")
    with pytest.raises(UserError, match="DVC could not track"):
        ingest(source, repository)
    assert read_list(repository / "data/drops.yaml") == ("none", [])
    (repository / ".dvc/config").write_text("")
    ingest(source, repository)
    assert read_list(repository / "data/drops.yaml") == ("own", [date(2026, 3, 8)])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("PAYMENTS.csv", None, "PAYMENTS.csv is missing"),
        ("ACTIVE_USER.csv", "", "ACTIVE_USER.csv is empty"),
        ("DEMOGRAFICOS.csv", "CUS_CUST_ID_BUY,AGE,GENDER,CARD_TYPE\n1,2,F,GOLD\n", "column CITY is missing"),
        ("DINERO_CUENTA.csv", f"{','.join(FILES['DINERO_CUENTA.csv'])}\n\n", "a header but no rows"),
        (
            "PAYMENTS.csv",
            f"{','.join(FILES['PAYMENTS.csv'])}\n\n08/03/2026,S1,1001,12.50,Instore,\n",
            r"1 of 1 rows are bad .*For example:\n  line 3: FECHA is not a date of the form YYYY-MM-DD .*08/03/2026",
        ),
        (
            "PAYMENTS.csv",
            f"{','.join(FILES['PAYMENTS.csv'])}\n2027-03-08,S1,1001,12.50,Instore,\n",
            "after today",
        ),
    ],
)
def test_a_wrong_file_is_refused_and_nothing_is_written(source, repository, name, content, message):
    (source / name).unlink()
    if content is not None:
        (source / name).write_text(content)
    before = everything_in(repository)
    with pytest.raises(UserError, match=message):
        ingest(source, repository)
    assert everything_in(repository) == before


def test_mistakes_on_the_command_line_end_with_one_message(repository, source):
    for arguments, message in [
        (["nowhere"], "nowhere does not exist"),
        ([source / "PAYMENTS.csv"], "is not a folder"),
        ([source, "--drop", "08/03/2026"], "Not a drop date: '08/03/2026'"),
        ([source, "--drop", "2026-03-07"], "1 payments after 2026-03-07, up to 2026-03-08"),
    ]:
        done = subprocess.run([*COMMAND, *arguments], cwd=repository, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("ERROR: ") and message in done.stderr
        assert "Traceback" not in done.stderr


def test_the_newest_believable_day_names_the_drop(source, tmp_path, capsys):
    rows = "".join(
        f"{date(2026, 3, 8) - timedelta(days=number % 180)},S1,1001,5.00,Instore,\n" for number in range(1_000)
    )
    for stray, expected in [
        ("", date(2026, 3, 8)),
        ("2027-01-15,S1,1001,5.00,Instore,\n", date(2026, 3, 8)),  # after today
        ("2026-08-03,S1,1001,5.00,Instore,\n", date(2026, 3, 8)),  # far after all others
        ("2026-03-20,S1,1001,5.00,Instore,\n", date(2026, 3, 8)),  # near, but a single row
        ("2026-03-20,S1,1001,5.00,Instore,\n" * 6, date(2026, 3, 20)),  # near, and as many as usual
        ("2026-08-03,S1,1001,5.00,Instore,\n" * 20, date(2026, 8, 3)),  # many
        ("2026-02-31,S1,1001,5.00,Instore,\n2026-3-9,S1,1001,5.00,Instore,\nbad\n", date(2026, 3, 8)),  # unreadable
    ]:
        write_payments(source, rows + stray)
        assert read_delivery(source, None, TODAY, RULES, tmp_path / "tables").drop == expected
    assert "1 rows are dated after 2026-03-08 (up to 2027-01-15)" in capsys.readouterr().out


def test_a_silent_end_is_warned_about(source, capsys):
    newest = date(2026, 3, 8)
    check_drop_date(source / "PAYMENTS.csv", newest + timedelta(days=7), newest, {newest: 5})
    assert not capsys.readouterr().out
    check_drop_date(source / "PAYMENTS.csv", newest + timedelta(days=20), newest, {newest: 5})
    assert "WARNING: the newest payment is from 2026-03-08, 20 days before 2026-03-28" in capsys.readouterr().out


@pytest.mark.skipif(not SEED.exists(), reason="the five-user sample is not here")
def test_the_five_user_sample_has_a_date(tmp_path):
    assert read_delivery(SEED, None, TODAY, RULES, tmp_path).drop == date(2024, 6, 15)


def pack(path, cut=None):
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes())[:cut])
    path.unlink()


def test_packed_files_are_unpacked(source, repository):
    plain = {path.name: path.read_bytes() for path in source.iterdir()}
    pack(source / "PAYMENTS.csv")
    pack(source / "DEMOGRAFICOS.csv")
    drop = ingest(source, repository)
    held = repository / "data/raw" / str(drop)
    assert {path.name: path.read_bytes() for path in held.iterdir()} == plain
    assert not any(path.is_symlink() for path in held.iterdir())


def test_a_file_that_cannot_be_unpacked_or_exists_twice_is_named(source, repository):
    text = (source / "PAYMENTS.csv").read_text()
    pack(source / "PAYMENTS.csv", cut=-9)
    with pytest.raises(UserError, match=r"PAYMENTS.csv.gz cannot be unpacked .*Deliver the complete file again"):
        ingest(source, repository)
    (source / "PAYMENTS.csv").write_text(text)
    with pytest.raises(UserError, match=r"has both PAYMENTS.csv and PAYMENTS.csv.gz"):
        ingest(source, repository)
    assert not list((repository / "data/raw").glob("*-*"))


def test_a_file_that_grows_while_it_is_read_is_named(source, repository, monkeypatch):
    opened = receive.open_regular

    def grow_and_open(path, *arguments):
        if path.name == "MARKETPLACE_DATA.csv":
            with (source / "DINERO_CUENTA.csv").open("a") as file:
                file.write("1003,1,1,\n")
        return opened(path, *arguments)

    monkeypatch.setattr(receive, "open_regular", grow_and_open)
    with pytest.raises(UserError, match=r"DINERO_CUENTA.csv changed while it was copied"):
        ingest(source, repository)
    assert not list((repository / "data/raw").iterdir())
