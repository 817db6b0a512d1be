"""What a mapping does to each value, in a few rows; what a whole delivery becomes is in tests/deliveries."""

from datetime import date
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
import yaml
from test_quarantine import DROP, ENGINE, HEADER, PARAMS

from build_user_base import build_user_base
from churn.base.command import UserError
from churn.data import records
from churn.data.mapping import read_mapping
from clean_payments import clean_payments

COLUMNS = HEADER.decode().split(",")
GOOD = dict(zip(COLUMNS, ["2024-05-10", "SELLER_1", "1001", "120", "Instore", "0.05"], strict=True))


def make_mapping(folder, keys):
    (folder / "mapping.yaml").write_text(yaml.safe_dump(keys))
    return read_mapping(folder / "mapping.yaml")


@pytest.fixture
def clean(tmp_path):
    """Clean the bytes of PAYMENTS.csv by a mapping; return the rows that are kept, and those that are listed."""

    def clean_payments_of(text, params=PARAMS, **keys):
        path = tmp_path / "PAYMENTS.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        outputs = [tmp_path / name for name in ("kept.parquet", "rejects.parquet", "metrics.json")]
        clean_payments(ENGINE, path, DROP, *outputs, params, make_mapping(tmp_path, keys))
        return [pq.read_table(output).to_pylist() for output in outputs[:2]]

    return clean_payments_of


def rows(delimiter=",", **values):
    """Return a CSV with a row for each value of the one column that is given; all others are good."""
    ((column, texts),) = values.items()
    lines = [delimiter.join((GOOD | {column: text})[name] for name in COLUMNS) for text in texts]
    return "\n".join([delimiter.join(COLUMNS), *lines, ""])


VALUES = [
    ({"decimal": ",", "thousands": ""}, "SPENT", {"29,63": "29.63", "1": "1.00", "1,005": "1.01", "1.5": None}),
    ({"decimal": ",", "thousands": "."}, "SPENT", {"1.234.567,80": "1234567.80", "1.500": "1500.00", "0.500": None}),
    ({"thousands": ","}, "SPENT", {"1,500.25": "1500.25", "15,00": None, "1500": "1500.00"}),
    ({"thousands": "\u00a0"}, "SPENT", {"1\u00a0500.25": "1500.25"}),
    ({"thousands": "\u2019"}, "SPENT", {"1\u2019500.25": "1500.25"}),
    ({"strip": ["USD", "$"]}, "SPENT", {"$ 5.10": "5.10", "USD5.20": "5.20", "5.30 USD": "5.30", "D5": None}),
    ({"discount": "percent"}, "DESCUENTO", {"5": "0.050000", "33.3333333": "0.333333", "101": None, "99999.9": None}),
    ({"decimal": ",", "thousands": "."}, "DESCUENTO", {"0,05": "0.050000", "0.06": "0.060000"}),
    ({"nulls": ["-9", "s/d"]}, "DESCUENTO", {"-9": None, "S/D": None, "0.10": "0.100000"}),
    ({}, "DESCUENTO", {"NULL": None, "n/a": None, "\\N": None, "0.1": "0.100000"}),
]


@pytest.mark.parametrize(("keys", "column", "expected"), VALUES)
def test_numbers(clean, keys, column, expected):
    kept, _ = clean(rows(";", **{column: list(expected)}), delimiter=";", **keys)
    found = [row[column] for row in kept]
    good = list(expected.values())
    if column == "SPENT":
        good = [value for value in good if value]
    assert found == [value and Decimal(value) for value in good]


DATES = [
    ({"dates": "%d/%m/%Y"}, {"10/05/2024": "2024-05-10", "1/2/2024": "2024-02-01", "2024-05-10": None}),
    ({"dates": ["%d/%m/%Y", "%d/%m/%Y %H:%M"]}, {"10/05/2024 23:59": "2024-05-10", " 11/05/2024 ": "2024-05-11"}),
    ({"dates": "%d-%b-%y"}, {"10-MAY-24": "2024-05-10", "10-XXX-24": None}),
    ({"dates": "excel"}, {"45422": "2024-05-10", "45422.75": "2024-05-10", "2024-05-10": None}),
    (
        {"dates": "%Y-%m-%d %H:%M:%S", "time_zone": {"written": "UTC", "local": "America/Lima"}},
        {"2024-05-10 03:00:00": "2024-05-09", "2024-05-10 05:00:00": "2024-05-10"},
    ),
    (
        {"dates": "%Y-%m-%d %-I:%M %p", "time_zone": {"written": "UTC", "local": "America/Lima"}},
        {"2024-05-10 3:00 AM": "2024-05-09", "2024-05-10 3:00 PM": "2024-05-10"},
    ),
    (
        {"dates": "%Y-%m-%dT%H:%M:%S%z", "time_zone": {"written": "UTC", "local": "America/Lima"}},
        {"2024-05-10T03:00:00+00:00": "2024-05-09", "2024-05-10T23:30:00-05:00": "2024-05-10"},
    ),
]


@pytest.mark.parametrize(("keys", "expected"), DATES)
def test_dates(clean, keys, expected):
    kept, _ = clean(rows(FECHA=list(expected)), **keys)
    assert [row["FECHA"] for row in kept] == [date.fromisoformat(day) for day in expected.values() if day]


def test_ids_as_text_and_as_whole_numbers(clean):
    ids = ["007", "7", "AR-00123", "a" * 40, "-1", " 8 ", "12345678901234567890", "7.0"]
    assert [row["CUS_CUST_ID_BUY"] for row in clean(rows(CUS_CUST_ID_BUY=ids))[0]] == [7, 7, 8, 7]
    texts = [text.strip() for text in ids]
    assert [row["CUS_CUST_ID_BUY"] for row in clean(rows(CUS_CUST_ID_BUY=ids), user_id="text")[0]] == texts
    # What surrounds an amount may be a part of an id.
    both = rows(CUS_CUST_ID_BUY=["AD03USD"]).replace(",120,", ",USD 120.50,")
    (row,), _ = clean(both, user_id="text", strip="USD")
    assert (row["CUS_CUST_ID_BUY"], row["SPENT"]) == ("AD03USD", Decimal("120.50"))


def test_columns_encoding_and_lines_that_are_no_rows(clean):
    text = "Informe de pagos\nFecha;Vendedor;CUS_CUST_ID_BUY;Monto;TPV_SEGMENT_DETAIL;DESCUENTO;\n"
    text += "2024-05-10;Peña;7;5;Educación;;\nTOTAL;;;5;;;\n;;;;;;\n4843 rows selected.\n"
    columns = {"FECHA": "fecha", "CUS_CUST_ID_SEL": "Vendedor", "SPENT": "MONTO"}
    skip = {"lines": 1, "rows": {"FECHA": ["total", "4843 rows selected."]}}
    for encoding in "windows-1252", "utf-16", "utf-8-sig":
        keys = {"encoding": encoding, "delimiter": ";", "files": {"PAYMENTS.csv": {"columns": columns}}, "skip": skip}
        (row,), listed = clean(text.encode(encoding), **keys)
        assert (row["CUS_CUST_ID_SEL"], row["TPV_SEGMENT_DETAIL"], row["DESCUENTO"]) == ("Peña", "Educación", None)
        assert listed == []


def test_refunds_are_kept_apart(clean):
    kept, listed = clean(rows(SPENT=["5", "-5", "0"]), refunds="subtract")
    assert [row["SPENT"] for row in kept] == [5, -5] and len(listed) == 1


@pytest.mark.parametrize("point", [".", ","])
def test_amounts_that_can_be_thousands_are_refused(clean, point):
    ambiguous = [f"1{point}500", "12", f"2{point}250"]
    for texts in ambiguous * 30, [f"5{point}25"] * 100 + ambiguous * 5:
        with pytest.raises(UserError, match=r"SPENT can be read in two ways: .* 1500 or"):
            clean(rows(";", SPENT=texts), delimiter=";", decimal=point)
    decimals = [f"0{point}125", f"1234{point}567"] * 40
    assert len(clean(rows(";", SPENT=ambiguous + decimals), delimiter=";", decimal=point)[0]) == 83
    assert len(clean(rows(";", SPENT=ambiguous), delimiter=";", decimal=point, thousands="")[0]) == 3


def test_quotes_far_apart_do_not_swallow_the_rows_between(clean):
    lines = rows(CUS_CUST_ID_SEL=["S"] * 60).splitlines()
    lines[5], lines[50] = lines[5].replace(",S,", ',"S,'), lines[50].replace(",S,", ',S",')
    kept, listed = clean("\n".join(lines))
    assert len(kept) == 59 and [row["line"] for row in listed] == [6]
    assert kept[-11]["CUS_CUST_ID_SEL"] == 'S"'


def test_line_breaks_in_fields_at_every_cut(clean, monkeypatch):
    seller = ['"A\nB"', "C", '"D ""x""\n\nE"', '5" pipe', '"F,\nG"'] * 8
    expected = ["A\nB", "C", 'D "x"\n\nE', '5" pipe', "F,\nG"] * 8
    for end in "\n", "\r", "\r\n":
        text = rows(CUS_CUST_ID_SEL=seller).replace("\n", end)
        for size in 40, 150, 333, 1 << 26:
            monkeypatch.setattr(records, "SPLIT_BYTES", size)
            kept, listed = clean(text)
            assert [row["CUS_CUST_ID_SEL"] for row in kept] == expected and listed == [], (end, size)


def test_a_line_break_is_kept_or_rejected_whatever_characters_are_there(clean):
    noise = "".join(map(bytes.decode, records.JOINTS))
    kept, listed = clean(rows(CUS_CUST_ID_SEL=['"A\nB"', f'"x{noise}"', "C"]))
    assert [row["CUS_CUST_ID_SEL"] for row in kept] == [f"x{noise}", "C"]
    assert {row["reason"] for row in listed} == {records.NO_JOINT}


def test_malformed_rows_in_thousands_are_counted(clean, monkeypatch):
    monkeypatch.setattr("churn.data.checks.MOST_MALFORMED", 10)
    good, short = ["1"] * 300, ",".join(list(GOOD.values())[:5])
    text = rows(CUS_CUST_ID_BUY=good) + f"{short}\n" * 50 + f"{','.join(GOOD.values())},9\n" * 20
    kept, listed = clean(text)
    assert len(kept) == 300
    assert [row["reason"] for row in listed] == [records.TOO_FEW] * 50 + [records.TOO_MANY] * 20
    assert [row["line"] for row in listed] == list(range(302, 372))


def test_a_header_with_a_line_break_and_an_end_of_file(clean):
    text = rows(CUS_CUST_ID_BUY=["1"]).replace("FECHA", '\n"FECHA"', 1).replace("DESCUENTO", '"DES\nCUENTO"', 1)
    kept, _ = clean(text + "\x1a", files={"PAYMENTS.csv": {"columns": {"DESCUENTO": "DES CUENTO"}}})
    assert len(kept) == 1


WRONG = [
    ({"encodin": "utf-8"}, "unknown key 'encodin'"),
    ({"encoding": "latin-99"}, "encoding 'latin-99' is unknown"),
    ({"encoding": "undefined"}, "encoding 'undefined' is unknown"),
    ({"dates": "%d/%m"}, "needs %d .day., %m"),
    ({"dates": "%d/%m/%Q"}, "is not a format of dates"),
    ({"dates": "%Y-%m-%dT%H:%M:%SZ"}, "time_zone must say whose days count"),
    ({"dates": "%Y-%m-%dT%H:%M:%S%z"}, "time_zone must say whose days count"),
    ({"time_zone": {"written": "UTC", "local": "Lima"}}, "time zone 'Lima' is unknown"),
    ({"dates": "excel", "time_zone": {"written": "UTC", "local": "America/Lima"}}, "cannot be used with dates: excel"),
    ({"decimal": ",", "thousands": ","}, "decimal and thousands are both"),
    ({"strip": "$-"}, "not valid"),
    ({"quote": "«"}, "does not match"),
    ({"files": {"PAYMENTS.csv": {"columns": {"FECHAA": "x"}}}}, "'FECHAA' is not a column .* Did you mean FECHA"),
    (
        {"files": {"PAYMENTS.csv": {"columns": {"FECHA": "x", "SPENT": "X "}}}},
        "two columns have the delivered name 'x'",
    ),
    ({"files": {"DEMOGRAFICOS.csv": {"values": {"GENDER": {1: "M"}}}}}, "write it in quotes"),
    ({"files": {"DEMOGRAFICOS.csv": {"values": {"GENDER": {"H": "X"}}}}}, "'X' is not a value of the contract"),
    ({"skip": {"rows": {"FECHAA": ["TOTAL"]}}}, "'FECHAA' is not a column"),
]


@pytest.mark.parametrize(("keys", "message"), WRONG)
def test_a_wrong_mapping_is_named(tmp_path, keys, message):
    with pytest.raises(UserError, match=message) as error:
        make_mapping(tmp_path, keys)
    assert str(error.value).startswith(str(tmp_path / "mapping.yaml"))


def test_equal_rows_of_a_user_are_one_and_different_ones_none(tmp_path):
    texts = {
        "ACTIVE_USER.csv": "1,1,1,1,\n" * 3 + "2,1,1,1,\n2,9,1,1,\n" + "".join(f"{n},1,1,1,\n" for n in range(3, 99)),
        "DEMOGRAFICOS.csv": '1,30,F,GOLD,"Mar\ndel Plata"\n2,999,X,,\n',
        "DINERO_CUENTA.csv": "1,1,1,Investing\n",
        "MARKETPLACE_DATA.csv": "1,1,2024-06-17,1\n2,1,1900-01-01,1\n",
    }
    from churn.data.contract import FILES

    for name, text in texts.items():
        (tmp_path / name).write_text(f"{','.join(FILES[name])}\n{text}")
    outputs = [tmp_path / name for name in ("base.parquet", "rejects.parquet", "metrics.json")]
    params = PARAMS | {"max_reject_share": 1.0}
    build_user_base(ENGINE, tmp_path, DROP, *outputs, params, make_mapping(tmp_path, {}))
    users = {row["CUS_CUST_ID_BUY"]: row for row in pq.read_table(outputs[0]).to_pylist()}
    listed = [
        (row["file"][:4], row["line"], row["column"], row["outcome"]) for row in pq.read_table(outputs[1]).to_pylist()
    ]
    assert users[1]["MAU_MP_1"] == 1 and users[2]["MAU_MP_1"] is None and users[1]["CITY"] == "Mar\ndel Plata"
    assert listed == [
        ("ACTI", 3, None, "rejected"),
        ("ACTI", 4, None, "rejected"),
        ("ACTI", 5, "CUS_CUST_ID_BUY", "rejected"),
        ("ACTI", 6, "CUS_CUST_ID_BUY", "rejected"),
        ("DEMO", 4, "AGE", "nulled"),
        ("DEMO", 4, "GENDER", "nulled"),
    ]
    assert users[2]["AGE"] is None and users[2]["GENDER"] is None and users[2]["RECENCY_ML"] is None
    assert users[1]["RECENCY_ML"] == DROP, "up to three days after the drop is its date"
