"""Deliveries as real systems write them: read exactly, or refused with the reason, and never a value that is wrong.

The 87 deliveries are made by a tool of the shared data. Each is read as it is, and, if a mapping is proposed for it, by
the proposal.
"""

import csv
import importlib.util
import random
from collections import Counter
from dataclasses import replace
from datetime import date
from functools import cache

import duckdb
import pytest
from conftest import ROOT, shared
from delivery_rules import PARAMS

from churn.base.command import UserError
from churn.data.contract import FILES, USER, USER_FILES
from churn.data.mapping import Mapping, read_mapping
from churn.deliveries.check import read_delivery, scan
from churn.deliveries.doubts import find_cuts, find_doubts
from churn.deliveries.ingest import judge
from churn.deliveries.receive import receive_delivery
from churn.deliveries.rules import Rules
from churn.recognition.delivery import recognise
from churn.recognition.proposal import write_proposal

TODAY = date(2026, 11, 27)
RULES = Rules(PARAMS, Mapping())
PAYMENTS, ACTIVE, DEMOGRAPHICS, BALANCES, MARKETPLACE = FILES
# Otherwise, for each file that differs: rows that are missing, rows that were rejected (which may be too many), values
# that were replaced, and lines that were skipped.
SAME: dict[str, tuple] = {}


def every(*counts):
    return dict.fromkeys(FILES, counts)


# What happens without a mapping: the differences, or words of the refusal.
WITHOUT = {
    **dict.fromkeys(
        [
            *("clean", "sep_line", "ids_float", "ids_19_digits", "ids_leading_zeros", "ids_nbsp", "pandas_floats"),
            *("gz_members", "gz_zero_padding", "header_lower", "header_padded", "all_quoted", "all_quoted_bom_crlf"),
            *("trailing_comma_all", "trailing_comma_rows", "index_column", "newline_in_city", "comma_in_seller"),
            *("inner_quotes", "mixed_ends", "cr_only", "names_lower", "skewed", "many_decimals", "late_arrivals"),
            *("spaces_around", "unknown_text_user", "gzip_all"),
        ],
        SAME,
    ),
    "excel_ar": "column FECHA, .* is missing",
    "semicolons_only": "column FECHA, .* is missing",
    "tabs": "column FECHA, .* is missing",
    "decimal_comma_quoted": "mostly because SPENT is not an amount",
    "utf16_tab": "cannot be read as CSV in UTF-8",
    "latin1_many": "DEMOGRAFICOS.csv: 134 of 400 rows are bad .* is not UTF-8",
    "latin1_header": "DEMOGRAFICOS.csv, line 1: cannot be read as CSV in UTF-8",
    "ids_scientific": "CUS_CUST_ID_BUY is not a whole number",
    "ids_uuid": "CUS_CUST_ID_BUY is not a whole number",
    "ids_text_apostrophe": "CUS_CUST_ID_BUY is not a whole number",
    "ids_formula": "CUS_CUST_ID_BUY is not a whole number",
    "ids_dot_thousands": "CUS_CUST_ID_BUY can be read in two ways",
    "ids_zeros_that_differ": dict.fromkeys(USER_FILES, (0, 29, 0, 0)),
    "header_repeated": {PAYMENTS: (0, 9, 0, 0)},
    "header_every_ten": "484 of 5327 rows are bad .* repeats the header",
    "totals": {PAYMENTS: (0, 1, 0, 0), ACTIVE: (0, 1, 0, 0), DEMOGRAPHICS: (0, 2, 0, 0), BALANCES: (0, 1, 0, 0)},
    "sql_plus_dashes": every(0, 1, 0, 0),
    "null_literals": {
        PAYMENTS: (0, 0, 464, 0),
        ACTIVE: (0, 0, 88, 0),
        DEMOGRAPHICS: (0, 0, 156, 0),
        BALANCES: (0, 0, 82, 0),
        MARKETPLACE: (0, 0, 35, 0),
    },
    "null_literals_few": {DEMOGRAPHICS: (0, 0, 38, 0)},
    "null_texts": "CUS_CUST_ID_SEL is empty",
    "gz_that_is_zip": "PAYMENTS.csv.gz is a zip archive",
    "zip_files": "PAYMENTS.csv, .* are missing.*PAYMENTS.zip",
    "nul_block": {PAYMENTS: (1, 1, 0, 0)},
    "nul_tail": {PAYMENTS: (0, 1, 0, 0)},
    "nul_in_field": {DEMOGRAPHICS: (9, 9, 0, 0)},
    "date_time": "FECHA is not a date",
    "date_time_users_only": "values of last_login_mp_date_1 are bad",
    "date_dmy": "FECHA is not a date",
    "date_compact": "FECHA is not a date",
    "thousands_dot": "SPENT can be read in two ways: .* 1500 or 1.5",
    "thousands_comma_quoted": "SPENT is not an amount",
    "currency_sign": "SPENT is not an amount",
    "minus_behind": {PAYMENTS: (209, 209, 0, 0)},
    "refunds_3": {PAYMENTS: (146, 146, 0, 0)},
    "never_1900": {ACTIVE: (0, 0, 44, 0)},
    "single_quotes": "column FECHA, .* is missing",
    "empty_rows_of_commas": every(0, 0, 0, 900),
    "duplicate_column": "DEMOGRAFICOS.csv, line 1: column CITY appears more than once",
    "unquoted_comma_city": "93 of 400 rows are bad .* has too many fields",
    "login_next_morning_few": {ACTIVE: (0, 0, 15, 0)},
    "incremental": "PAYMENTS.csv has too little history: .* cover 7 days",
    "users_doubled_few": {
        ACTIVE: (0, 15, 0, 0),
        DEMOGRAPHICS: (0, 16, 0, 0),
        BALANCES: (0, 13, 0, 0),
        MARKETPLACE: (0, 11, 0, 0),
    },
    "gender_words": "389 of 400 values of GENDER are bad",
    "gender_x": {DEMOGRAPHICS: (0, 0, 15, 0)},
    "discount_percent": "995 of 4843 values of DESCUENTO are bad .* must be at most 1",
    "age_birth_year": "383 of 400 values of AGE are bad .* must be at most 120",
    "excel_errors": {DEMOGRAPHICS: (0, 0, 44, 0), BALANCES: (0, 0, 11, 0)},
    "excel_serial_dates": "FECHA is not a date",
    "names_dated": "are missing. Found: ACTIVE_USER_20260322.csv",
    "tiny_amounts": {PAYMENTS: (146, 146, 0, 0)},
    "five_users": "4 of 5 values of last_login_mp_date_1 are bad",
    "forty_users": {
        PAYMENTS: (4292, -1, 0, 0),
        **dict.fromkeys(USER_FILES, (360, 0, 0, 0)),
        MARKETPLACE: (314, 0, 0, 0),
    },
    "one_row_user_files": "ACTIVE_USER.csv has only 1 of the 400 users",
    "no_blanks_ids_in_users": "ACTIVE_USER.csv has only 0 of the 400 users",
    "one_date_typo": {PAYMENTS: (1, 1, 0, 0)},
    "city_null_bytes_bom": every(0, 1, 0, 0),
    "typo_month_back": {PAYMENTS: (1, 1, 0, 0)},
    "bad_inversion_case": "113 of 400 values of INVERSION are bad",
    "gap_in_history": "PAYMENTS.csv has no payment from 2026-01-26 to 2026-02-24",
}
# What happens with the proposed mapping, where there is one.
WITH = {
    **dict.fromkeys(
        [
            *("excel_ar", "semicolons_only", "tabs", "decimal_comma_quoted", "utf16_tab", "latin1_many"),
            *("latin1_header", "ids_uuid", "ids_text_apostrophe", "ids_formula", "ids_dot_thousands", "date_time"),
            *("date_time_users_only", "date_dmy", "date_compact", "thousands_dot", "thousands_comma_quoted"),
            *("currency_sign", "single_quotes", "gender_words", "discount_percent", "names_dated"),
            "bad_inversion_case",
            "excel_serial_dates",
        ],
        SAME,
    ),
    # They are 29 users more.
    "ids_zeros_that_differ": dict.fromkeys(USER_FILES, (-29, 0, 0, 0)),
    "header_repeated": {PAYMENTS: (0, 0, 0, 9)},
    "header_every_ten": {
        PAYMENTS: (0, 0, 0, 484),
        **dict.fromkeys(USER_FILES, (0, 0, 0, 39)),
        MARKETPLACE: (0, 0, 0, 35),
    },
    "totals": {PAYMENTS: (0, 0, 0, 1), ACTIVE: (0, 0, 0, 1), DEMOGRAPHICS: (0, 1, 0, 1), BALANCES: (0, 1, 0, 0)},
    "sql_plus_dashes": every(0, 0, 0, 1),
    "city_null_bytes_bom": every(0, 0, 0, 1),
    "excel_errors": {DEMOGRAPHICS: (0, 0, 44, 0), BALANCES: (0, 0, 11, 0)},
}
# Columns in which the tool writes other values on purpose.
OTHER_VALUES = {
    "latin1_many": {"CITY"},
    "newline_in_city": {"CITY"},
    "inner_quotes": {"CITY"},
    "comma_in_seller": {"CUS_CUST_ID_SEL"},
    "skewed": {"SPENT", "PLATA_CUENTA_1", "PLATA_CUENTA_2"},
}
# Amounts that the tool writes a hundred times as large, and how.
TIMES_100 = {
    "thousands_dot": ({"SPENT", "PLATA_CUENTA_1", "PLATA_CUENTA_2", "SPENT_ML"}, lambda cell: int(float(cell) * 100)),
    "thousands_comma_quoted": ({"SPENT"}, lambda cell: cell * 100),
}
OTHER_IDS = {"ids_19_digits", "ids_uuid", "ids_dot_thousands", "ids_zeros_that_differ"}


@cache
def messy():
    spec = importlib.util.spec_from_file_location("messy_delivery", ROOT.parent / "shared/tools/messy_delivery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_case_of_the_tool_is_here():
    shared("tools/messy_delivery.py")
    assert set(WITHOUT) == set(messy().CASES)


def read(folder, rules, tmp_path):
    """Read a delivery as ingest does; return what was counted, and the rows of each file."""
    received = receive_delivery(folder, tmp_path / "copy", rules.mapping.names, follow_links=False)
    tables = tmp_path / "tables"
    tables.mkdir()
    with received.named_as_delivered():
        judge(find_cuts(received.folder, rules.mapping), received.folder, rules)
        delivery = read_delivery(received.folder, None, TODAY, rules, tables)
        judge(find_doubts(delivery, None, rules), received.folder, rules)
    days = f"WHERE FECHA <= DATE '{delivery.drop}'"
    rows = {
        name: duckdb.sql(f"FROM {scan(tables / name)} {days if name == PAYMENTS else ''}").fetchall() for name in FILES
    }
    counts = {name: read.counts for name, read in delivery.files.items()}
    late = sum(rows for day, rows in delivery.files[PAYMENTS].days.items() if day > delivery.drop)
    rejected = {name: one.rejected + (late if name == PAYMENTS else 0) for name, one in counts.items()}
    return counts, rejected, rows


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return read(shared("data/deliveries/2026-03-22"), RULES, tmp_path_factory.mktemp("clean"))


def as_clean(rows, case, first_ids):
    """Return rows by file in which what the tool writes on purpose is as in the clean delivery."""
    ids = {own: number for number, own in enumerate(first_ids)}
    result = {}
    for name, columns in FILES.items():
        result[name] = [
            tuple(
                None if column in OTHER_VALUES.get(case, ()) else ids.get(cell, cell) if column == USER else cell
                for column, cell in zip(columns, row, strict=True)
            )
            for row in rows[name]
        ]
    return result


def compare(case, clean, found):
    """Return the differences by file; fail if a value differs that nothing counts."""
    (_, clean_rejected, clean_rows), (counts, rejected, rows) = clean, found
    ids_of = [[row[0] for row in one[ACTIVE]] for one in (clean_rows, rows)]
    first_ids = ids_of if case in OTHER_IDS else [ids_of[0], ids_of[0]]
    before, after = (as_clean(one, case, ids) for one, ids in zip((clean_rows, rows), first_ids, strict=True))
    differences = {}
    for name, columns in FILES.items():
        lost = len(before[name]) - len(after[name])
        changed = sum(sum(one.values()) for one in (counts[name].nulled, counts[name].no_value, counts[name].clipped))
        then, now = Counter(before[name]), Counter(after[name])
        if case in TIMES_100:
            then = Counter(multiply(row, columns, *TIMES_100[case]) for row in before[name])
        other = list((now - then).elements())
        # A row that is not as in the clean delivery lacks some values, each of which is counted.
        assert len(other) <= changed + max(0, -lost), (name, other[:3])
        both = lost, rejected[name] - clean_rejected[name], changed, counts[name].skipped
        if any(both):
            differences[name] = both
    return differences


def multiply(row, columns, amounts, how):
    return tuple(
        how(cell) if column in amounts and cell is not None else cell for column, cell in zip(columns, row, strict=True)
    )


def load(folder):
    rows = {}
    for name in FILES:
        with (folder / name).open(newline="", encoding="utf-8") as file:
            rows[name.removesuffix(".csv")] = list(csv.reader(file))
    return rows


@pytest.mark.parametrize("case", WITHOUT)
def test_a_messy_delivery_is_read_exactly_or_refused(case, clean, tmp_path):
    tool, source = messy(), tmp_path / "2026-03-22"
    random.seed(7)
    tool.CASES[case](source, load(shared("data/deliveries/2026-03-22")))
    (tmp_path / "without").mkdir()
    check(case, source, RULES, WITHOUT[case], clean, tmp_path / "without")
    proposed = tmp_path / "mapping.proposed.yaml"
    write_proposal(recognise(source, TODAY), proposed)
    mapping = read_mapping(proposed)
    assert (mapping != Mapping()) is (case in WITH)
    if case in WITH:
        (tmp_path / "with").mkdir()
        check(case, source, replace(RULES, mapping=mapping), WITH[case], clean, tmp_path / "with")


def check(case, source, rules, expected, clean, folder):
    if isinstance(expected, str):
        with pytest.raises(UserError, match=f"(?s){expected}") as error:
            read(source, rules, folder)
        first = str(error.value).splitlines()[0]
        assert "SELLER_" not in first and "Cordoba" not in first, "the first line has no row"
    else:
        assert compare(case, clean, read(source, rules, folder)) == expected
