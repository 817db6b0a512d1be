import subprocess
import sys
from datetime import date

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT

from churn.base.command import UserError
from churn.base.drops import read_list, write_list
from churn.data.contract import FILES
from churn.data.mapping import Mapping
from churn.data.quarantine import read_files
from churn.deliveries.folders import file_md5s, folder_md5, tracked_md5
from churn.demo.files import HISTORY_DAYS, PAYMENT_FAULTS, drop_files, payment_lines
from churn.demo.world import day_of, simulate_world
from churn.engines.duckdb import DuckDBEngine
from tools.demo import choose_dates, make_demo_drops

LAST = date(2026, 3, 22)
DATES = choose_dates(12, LAST)


@pytest.fixture(scope="module")
def world():
    return simulate_world(1, 5_000, LAST)


@pytest.fixture(scope="module")
def newest(world):
    return drop_files(world, payment_lines(world.payments), day_of(LAST))


@pytest.fixture
def repository(tmp_path):
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").touch()
    (tmp_path / ".gitignore").write_text("/data/raw/????-??-??/\n")
    return tmp_path


def make(repository, drops=2, users=60, last=LAST, **options):
    make_demo_drops(repository / "data/raw", repository / "data/drops.yaml", users, drops, 1, last, **options)


def everything_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".dvc/" not in str(path)}


def as_dvc_sees_it(repository):
    names = [path.name for path in (repository / "data/raw").glob("*.dvc")]
    command = [sys.executable, "-m", "dvc", "status", *names]
    return subprocess.run(command, cwd=repository / "data/raw", capture_output=True, text=True, check=True).stdout


def paid_between(world, first, last):
    days = world.payments["day"]
    return np.unique(world.payments["user"][(days >= day_of(first)) & (days <= day_of(last))])


def test_the_committed_pointers_promise_these_bytes(newest, tmp_path):
    pointer = ROOT / f"data/raw/{LAST}.dvc"
    if read_list(ROOT / "data/drops.yaml")[0] != "demo" or not pointer.exists():
        pytest.skip("this repository does not hold the demo's drops")
    for name, content in newest.items():
        (tmp_path / name).write_bytes(content)
    assert folder_md5(file_md5s(tmp_path, FILES)) == tracked_md5(ROOT / f"data/raw/{LAST}")


def test_another_week_leaves_the_past_as_it_was():
    short, long = simulate_world(1, 200, date(2026, 3, 15)), simulate_world(1, 200, LAST)
    assert (long.payments[: len(short.payments)] == short.payments).all()
    old, new = (drop_files(world, payment_lines(world.payments), day_of(date(2026, 3, 15))) for world in (short, long))
    assert old == new


def test_a_payment_is_the_same_in_every_drop_that_covers_its_day():
    world = simulate_world(1, 200, LAST)
    lines = payment_lines(world.payments)
    older, newer = (
        drop_files(world, lines, day_of(day))["PAYMENTS.csv"].decode().splitlines()[1:] for day in DATES[-2:]
    )
    gone = older.index(newer[0])
    assert 0 < gone < len(older)
    assert older[gone:] == newer[: len(older) - gone]


def test_files_hold_what_a_delivery_of_that_day_would(world, newest):
    assert {name: content.decode().splitlines()[0].split(",") for name, content in newest.items()} == {
        name: list(columns) for name, columns in FILES.items()
    }
    days = {line[:10] for line in newest["PAYMENTS.csv"].decode().splitlines()[1:]}
    written_wrongly = {value for column, value in PAYMENT_FAULTS if column == "FECHA"}
    assert len(days - written_wrongly) == HISTORY_DAYS
    assert max(days - written_wrongly) == str(LAST)
    assert sum(map(len, newest.values())) < 4_000_000


def test_bad_rows_are_few_and_of_every_kind(newest, tmp_path):
    params = {"max_reject_share": 0.01, "extra_columns": "refuse"}
    for name, content in newest.items():
        (tmp_path / name).write_bytes(content)
    files = {tmp_path / name: tmp_path / f"{name}.parquet" for name in newest}
    found = read_files(DuckDBEngine("1GB", ""), files, LAST, params | {"duplicate_payments": "keep"}, Mapping())
    accounts = {name: read.counts for name, read in found.items()}
    bad = {name: account.rejected + sum(account.nulled.values()) for name, account in accounts.items()}
    assert 200 / 12 < sum(bad.values()) < 500 / 12
    assert all(bad.values())
    # Zero and negative SPENT share a reason; 'N/A' is no value, and 1.7 of DESCUENTO is null.
    assert len(accounts["PAYMENTS.csv"].reasons) == 8 and len(accounts["PAYMENTS.csv"].nulled) == 1
    kept = pq.read_table(tmp_path / "DINERO_CUENTA.csv.parquet")["INVERSION"].unique().to_pylist()
    assert set(kept) == {"Investing", "Eligible", "Warmup", "Pending", None}


def test_the_population_is_steady_and_churns_believably(world):
    for day in DATES:
        first = date.fromordinal(day.toordinal() - HISTORY_DAYS + 1)
        assert 4_800 < len(paid_between(world, first, day)) < 5_250
    for day in DATES[:8]:
        population = paid_between(world, date.fromordinal(day.toordinal() - 89), day)
        later = paid_between(world, date.fromordinal(day.toordinal() + 1), date.fromordinal(day.toordinal() + 30))
        assert 0.25 < 1 - np.isin(population, later).mean() < 0.35


def test_accesses_and_balances_fall_before_people_leave(world):
    people, week = world.people, 30
    there = people["joined"] < 7 * (week - 12)
    soon = there & (people["left"] > 7 * week) & (people["left"] <= 7 * week + 14) & (people["warning"] > 28)
    staying = there & (people["left"] > 7 * week + 200)
    for habit in world.mp, world.balance:
        now, before = habit[:, week - 4 : week].sum(axis=1), habit[:, week - 12 : week - 8].sum(axis=1)
        assert now[soon].sum() < 0.75 * before[soon].sum()
        assert 0.9 < now[staying].sum() / before[staying].sum() < 1.1


def test_drops_are_made_tracked_and_listed_once(repository, capsys):
    make(repository)
    made = everything_in(repository / "data")
    assert yaml.safe_load((repository / "data/drops.yaml").read_text()) == {
        "source": "demo",
        "drops": ["2026-03-15", "2026-03-22"],
        "previous": {"2026-03-15": "start", "2026-03-22": "2026-03-15"},
        "newest": "2026-03-22",
    }
    for day in DATES[-2:]:
        folder = repository / f"data/raw/{day}"
        assert tracked_md5(folder) == folder_md5(file_md5s(folder, FILES))
    assert "up to date" in as_dvc_sees_it(repository)
    status = subprocess.run(["git", "status", "--short", "-uall"], cwd=repository, capture_output=True, text=True)
    assert "data/raw/2026-03-22.dvc" in status.stdout
    assert ".csv" not in status.stdout

    make(repository)
    assert "0 demo drops created" in capsys.readouterr().out
    assert everything_in(repository / "data") == made

    folder = repository / "data/raw/2026-03-22"
    for path in (*folder.iterdir(), folder):
        path.unlink() if path.is_file() else path.rmdir()
    make(repository, if_missing=True)
    assert everything_in(repository / "data") == made

    with pytest.raises(UserError, match=r"2026-03-15 has different data.* make clear-demo"):
        make(repository, users=70)
    assert everything_in(repository / "data") == made


def test_a_pointer_that_promises_other_data_is_kept(repository):
    raw = repository / "data/raw"
    raw.mkdir(parents=True)
    pointer = raw / "2026-03-22.dvc"
    pointer.write_text("outs:\n- md5: 00000000000000000000000000000000.dir\n  path: '2026-03-22'\n")
    write_list(repository / "data/drops.yaml", "demo", [LAST])
    before = everything_in(repository)
    with pytest.raises(UserError, match="dvc pull"):
        make(repository, if_missing=True)
    assert everything_in(repository) == before


@pytest.mark.parametrize("source", ["none", "own"])
def test_if_missing_leaves_other_lists_alone(repository, source):
    listing, days = repository / "data/drops.yaml", []
    if source == "own":
        days = [date(2026, 3, 1)]
        (repository / "data/raw/2026-03-01").mkdir(parents=True)
    write_list(listing, source, days)
    before = listing.read_bytes()
    make(repository, if_missing=True)
    assert listing.read_bytes() == before
    assert not (repository / "data/raw/2026-03-22").exists()


def test_own_drops_that_are_not_here_are_not_replaced_by_the_demo(repository):
    write_list(repository / "data/drops.yaml", "own", [date(2026, 3, 1)])
    with pytest.raises(UserError, match=r"2026-03-01: listed, but missing here.*dvc pull"):
        make(repository, if_missing=True)
    with pytest.raises(UserError, match="your own drops"):
        make(repository)


@pytest.mark.parametrize(
    ("drops", "last", "message"),
    [
        (12, date(2026, 3, 21), "not a Sunday"),
        (13, LAST, "Choose 1 to 12"),
        (0, LAST, "Choose 1 to 12"),
        (1, date(2025, 12, 28), "later --last-drop"),
    ],
)
def test_dates_that_the_demo_does_not_have_are_refused(drops, last, message):
    with pytest.raises(UserError, match=message):
        choose_dates(drops, last)


def test_a_later_drop_joins_those_made_before(repository):
    make(repository, drops=1)
    alone = file_md5s(repository / "data/raw/2026-03-22", FILES)
    make(repository, drops=2, last=date(2026, 3, 29))
    assert file_md5s(repository / "data/raw/2026-03-22", FILES) == alone
    assert read_list(repository / "data/drops.yaml") == ("demo", [LAST, date(2026, 3, 29)])
