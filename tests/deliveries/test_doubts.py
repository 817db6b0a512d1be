"""A delivery that can be read and should not be used: it is refused before it is a drop, or warned about."""

import shutil
from datetime import date, timedelta

import pytest
from delivery_rules import PARAMS, RULES
from test_ingest_drop import repository  # noqa: F401  a fixture

from churn.base.command import UserError
from churn.base.drops import read_list
from churn.data.contract import FILES
from churn.data.mapping import Dialect, Mapping
from churn.data.payment_days import find_silences, newest_plausible, oldest_plausible
from churn.deliveries.advise import accept_proposal, check_delivery
from churn.deliveries.ingest import ingest_drop
from churn.deliveries.rules import Rules

TODAY, LAST = date(2026, 11, 1), date(2026, 3, 8)
STRICT = Rules(PARAMS, Mapping())
USERS = {
    "ACTIVE_USER.csv": "8,5,4,2026-03-02",
    "DEMOGRAFICOS.csv": "34,F,BLACK,Salta",
    "DINERO_CUENTA.csv": "800.0,700.0,Investing",
    "MARKETPLACE_DATA.csv": "430.0,2026-02-28,6",
}


def write_delivery(folder, last=LAST, days=120, users=40, skip=()):
    """Write a delivery in which each user pays every third day."""
    folder.mkdir()
    dates = [last - timedelta(days=number) for number in range(days)]
    lines = [
        f"{day},S1,{1000 + user},5.00,Instore,"
        for number, day in enumerate(reversed(dates))
        for user in range(users)
        if (number + user) % 3 == 0 and day not in skip
    ]
    (folder / "PAYMENTS.csv").write_text("\n".join([",".join(FILES["PAYMENTS.csv"]), *lines, ""]))
    for name, values in USERS.items():
        rows = [f"{1000 + user},{values}" for user in range(users)]
        (folder / name).write_text("\n".join([",".join(FILES[name]), *rows, ""]))
    return folder


@pytest.fixture
def ingest(repository, tmp_path, capsys):  # noqa: F811
    """Ingest a delivery by the rules; return what is printed."""

    def ingest_folder(folder, rules=STRICT, drop=None):
        ingest_drop(folder, repository / "data/raw", repository / "data/drops.yaml", drop, False, TODAY, rules)
        return capsys.readouterr().out

    return ingest_folder


def cut(path, share=0.6, add=-3):
    text = path.read_bytes()
    end = text.index(b"\n", int(len(text) * share)) + add
    path.write_bytes(text[:end])


def test_a_good_delivery_is_ingested(ingest, tmp_path):
    printed = ingest(write_delivery(tmp_path / "delivery"))
    assert "Drop 2026-03-08 is now in" in printed and "WARNING" not in printed


@pytest.mark.parametrize("add", [-3, 0])
def test_a_file_that_was_cut_is_refused(ingest, tmp_path, add):
    for name in "PAYMENTS.csv", "DINERO_CUENTA.csv":
        folder = write_delivery(tmp_path / f"delivery-{name}-{add}")
        # In the middle of a line, and at its end, but without it.
        cut(folder / name, add=add)
        with pytest.raises(UserError, match=f"{name} ends in the middle of a line"):
            ingest(folder)


def test_files_without_a_last_line_end_are_complete_if_all_are_so(ingest, tmp_path):
    folder = write_delivery(tmp_path / "delivery")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert "Drop 2026-03-08 is now in" in ingest(folder)


def test_a_cut_file_in_another_encoding_is_refused(ingest, tmp_path):
    for encoding in "windows-1252", "utf-16-be", "utf-16":
        folder = write_delivery(tmp_path / encoding)
        for path in folder.iterdir():
            text = path.read_text()
            path.write_bytes((text[:-40] if path.name == "PAYMENTS.csv" else text).encode(encoding))
        mapping = Mapping(dict.fromkeys(FILES, Dialect(encoding=encoding)))
        with pytest.raises(UserError, match=r"PAYMENTS.csv ends in the middle of a line"):
            ingest(folder, Rules(PARAMS, mapping))


def test_only_the_new_week_a_gap_and_other_ids_are_refused_or_warned_about(ingest, repository, tmp_path):  # noqa: F811
    gap = [date(2026, 1, 20) + timedelta(days=number) for number in range(20)]
    week, silent, strange = (tmp_path / name for name in ("week", "silent", "strange"))
    write_delivery(week, days=7)
    write_delivery(silent, last=LAST + timedelta(days=7), skip=gap)
    write_delivery(strange, last=LAST + timedelta(days=14))
    for name in USERS:
        (strange / name).write_text((strange / name).read_text().replace("\n10", "\n910"))
    messages = {
        week: r"PAYMENTS.csv has too little history: .* cover 7 days",
        silent: r"PAYMENTS.csv has no payment from 2026-01-20 to 2026-02-08, where about 267 are usual",
        strange: r"ACTIVE_USER.csv has only 0 of the 40 users(.|\n)*Also: DEMOGRAFICOS.csv has only 0",
    }
    for folder, message in messages.items():
        with pytest.raises(UserError, match=message):
            ingest(folder)
    assert read_list(repository / "data/drops.yaml")[1] == [] and not list((repository / "data/raw").iterdir())
    for folder in messages:
        assert "WARNING: " in ingest(folder, RULES)
    assert len(read_list(repository / "data/drops.yaml")[1]) == 3


def test_a_delivery_is_compared_with_the_drop_before(ingest, tmp_path):
    ingest(write_delivery(tmp_path / "first"))
    second = write_delivery(tmp_path / "second", last=LAST + timedelta(days=7), users=15)
    with pytest.raises(
        UserError, match=r"ACTIVE_USER.csv has 15 rows, and that of the drop before, 2026-03-08, has 40"
    ):
        ingest(second)
    third = write_delivery(tmp_path / "third", last=LAST + timedelta(days=7))
    shutil.copy(tmp_path / "first/DINERO_CUENTA.csv", third)
    (third / "ACTIVE_USER.csv").write_text((third / "ACTIVE_USER.csv").read_text().replace(",8,5,4,", ",9,5,4,"))
    assert "NOTE: DEMOGRAFICOS.csv, DINERO_CUENTA.csv, MARKETPLACE_DATA.csv: the same bytes as in drop" in ingest(third)


def test_many_payers_that_a_file_lacks_are_warned_about(ingest, tmp_path):
    folder = write_delivery(tmp_path / "delivery")
    lines = (folder / "ACTIVE_USER.csv").read_text().splitlines()
    (folder / "ACTIVE_USER.csv").write_text("\n".join([*lines[:21], ""]))
    assert "WARNING: ACTIVE_USER.csv has 20 of the 40 users with payments (50%)" in ingest(folder)


def test_what_is_a_stray_and_what_a_silence():
    days = {LAST - timedelta(days=number): 20 for number in range(100)}
    near, far = LAST + timedelta(days=1), LAST + timedelta(days=21)
    assert newest_plausible(days) == LAST and oldest_plausible(days) == min(days)
    for day in near, far:
        assert newest_plausible(days | {day: 1}) == LAST, "a single row never decides"
    assert newest_plausible(days | {near: 15}) == near
    long_before = min(days) - timedelta(days=10)
    assert oldest_plausible(days | {long_before: 1}) == min(days)
    sparse = {LAST - timedelta(days=3 * number): 1 for number in range(30)}
    assert newest_plausible(sparse) == LAST and find_silences(sparse) == []
    fortnights = {LAST - timedelta(days=14 * number): 500 for number in range(12)}
    assert find_silences(fortnights) == []
    gap = {day: rows for day, rows in days.items() if not 30 <= (LAST - day).days < 38}
    assert find_silences(gap) == [(LAST - timedelta(days=37), LAST - timedelta(days=30), 160)]
    assert find_silences({LAST: 5}) == []


def test_a_check_changes_nothing_and_proposes(repository, tmp_path, capsys):  # noqa: F811
    folder = write_delivery(tmp_path / "delivery")
    for path in folder.iterdir():
        path.write_text(path.read_text().replace(",", ";"))
    before = {path: path.stat().st_mtime_ns for path in [*repository.rglob("*"), *folder.rglob("*")]}
    proposed, mapping = tmp_path / "mapping.proposed.yaml", tmp_path / "mapping.yaml"
    places = (folder, repository / "data/raw", repository / "data/drops.yaml", TODAY)
    with pytest.raises(UserError, match=r"can be read with .*mapping.proposed.yaml\..*.*ACCEPT=1"):
        check_delivery(*places, STRICT, proposed)
    assert "1000" in capsys.readouterr().out
    kept = {path: path.stat().st_mtime_ns for path in [*repository.rglob("*"), *folder.rglob("*")]}
    assert {path: kept[path] for path in before if path.is_file()} == {
        path: time for path, time in before.items() if path.is_file()
    }
    mapping.write_text("decimal: ','\n")
    accept_proposal(proposed, mapping)
    assert mapping.read_text().count("delimiter: ;") == 1 and not proposed.exists()
    assert (tmp_path / "mapping.replaced.yaml").read_text() == "decimal: ','\n"
    from churn.data.mapping import read_mapping

    check_delivery(*places, Rules(PARAMS, read_mapping(mapping)), proposed)
    assert "This delivery can be ingested: make ingest SOURCE=" in capsys.readouterr().out
    with pytest.raises(UserError, match="First look at the delivery"):
        accept_proposal(proposed, mapping)
