"""What is proposed for the messy deliveries of the shared tool, and that a proposal can be used as it is written."""

import csv
import importlib.util
import random

import pytest
from conftest import shared
from proposals import propose

from churn.data.contract import FILES
from churn.data.mapping import NULLS
from churn.recognition.delivery import recognise

BASE = "data/deliveries/2026-03-22"
TOOL = "tools/messy_delivery.py"
# What the tool's cases need in data/mapping.yaml.
EXPECTED = {
    "excel_ar": {"delimiter": ";", "decimal": ",", "dates": "%d/%m/%Y"},
    "semicolons_only": {"delimiter": ";"},
    "tabs": {"delimiter": "\t"},
    "decimal_comma_quoted": {"decimal": ","},
    "utf16_tab": {"encoding": "utf-16", "delimiter": "\t"},
    "latin1_many": {"files": {"DEMOGRAFICOS.csv": {"encoding": "windows-1252"}}},
    "latin1_header": {"files": {"DEMOGRAFICOS.csv": {"encoding": "windows-1252"}}},
    "ids_uuid": {"user_id": "text"},
    "ids_zeros_that_differ": {"user_id": "text"},
    "ids_text_apostrophe": {"strip": "'"},
    "ids_formula": {"strip": ['="', '"']},
    # The amounts have a decimal point, so that no mapping reads 100.133 as a number.
    "ids_dot_thousands": {"user_id": "text"},
    "header_repeated": {"files": {"PAYMENTS.csv": {"skip": {"repeated_headers": True}}}},
    "header_every_ten": {"skip": {"repeated_headers": True}},
    "city_null_bytes_bom": {"skip": {"repeated_headers": True}},
    "totals": {
        "files": {
            "PAYMENTS.csv": {"skip": {"rows": {"FECHA": ["TOTAL"]}}},
            "ACTIVE_USER.csv": {"skip": {"rows": {"CUS_CUST_ID_BUY": ["Total"]}}},
            "DEMOGRAFICOS.csv": {"skip": {"rows": {"CUS_CUST_ID_BUY": ["(400 rows affected)"]}}},
        }
    },
    "sql_plus_dashes": {"skip": {"rows": {"CUS_CUST_ID_BUY": ["----------"]}}},
    "date_time": {"dates": "%Y-%m-%d %H:%M:%S"},
    "date_time_users_only": {"files": {"ACTIVE_USER.csv": {"dates": "%Y-%m-%d %H:%M:%S"}}},
    "date_dmy": {"dates": "%d/%m/%Y"},
    "date_compact": {"dates": "%Y%m%d"},
    "excel_serial_dates": {"dates": "excel"},
    "thousands_dot": {"decimal": ",", "thousands": "."},
    "thousands_comma_quoted": {"files": {"PAYMENTS.csv": {"thousands": ","}}},
    "currency_sign": {"files": {"PAYMENTS.csv": {"strip": "$"}}},
    "single_quotes": {"quote": "'"},
    "gender_words": {
        "files": {"DEMOGRAFICOS.csv": {"values": {"GENDER": {"Femenino": "F", "Masculino": "M"}}}},
    },
    "bad_inversion_case": {
        "files": {"DINERO_CUENTA.csv": {"values": {"INVERSION": {"INVERTIENDO": "Investing"}}}},
    },
    "discount_percent": {"discount": "percent"},
    "names_dated": {"files": {name: {"name": name.replace(".csv", "_*.csv")} for name in FILES}},
    "excel_errors": {"files": {"DINERO_CUENTA.csv": {"nulls": [*NULLS, "#¡VALOR!"]}}},
}
# What no mapping is needed for, or none can repair.
NOTHING = [
    *("clean", "sep_line", "ids_scientific", "ids_float", "ids_19_digits", "ids_leading_zeros"),
    *("ids_nbsp", "never_1900", "null_literals", "null_literals_few", "null_texts", "pandas_floats", "gz_members"),
    *("gz_zero_padding", "gz_that_is_zip", "zip_files", "nul_block", "nul_tail", "nul_in_field"),
    *("minus_behind", "refunds_3", "header_lower", "header_padded", "all_quoted", "all_quoted_bom_crlf"),
    *("trailing_comma_all", "trailing_comma_rows", "empty_rows_of_commas", "duplicate_column"),
    *("index_column", "newline_in_city", "comma_in_seller", "unquoted_comma_city", "inner_quotes"),
    *("mixed_ends", "cr_only", "login_next_morning_few", "incremental", "users_doubled_few", "gender_x"),
    *("age_birth_year", "names_lower", "skewed", "many_decimals", "tiny_amounts", "five_users"),
    *("forty_users", "one_row_user_files", "no_blanks_ids_in_users", "one_date_typo"),
    *("late_arrivals", "spaces_around", "typo_month_back", "unknown_text_user", "gzip_all"),
    "gap_in_history",
]
# Part of the question that a case leaves open; all others leave none.
QUESTIONS = {
    "ids_scientific": "no mapping can restore them",
    "ids_dot_thousands": "reads ids as texts",
    "totals": "Completion time",
    "thousands_dot": "SPENT: 2.963 is 2963 or 2.963?",
    "gz_that_is_zip": "PAYMENTS.csv.gz cannot be unpacked",
    "zip_files": "PAYMENTS.zip",
    "nul_block": "4,096 NUL bytes",
    "nul_tail": "4,096 NUL bytes",
    "nul_in_field": "NUL byte",
    "minus_behind": "minus sign in front",
    "refunds_3": "refunds: subtract",
    "duplicate_column": "CITY more than once",
    "unquoted_comma_city": "have 6 fields, but the header has 5",
    "gender_x": "'X', which is not one of F, M",
    "age_birth_year": "years of birth",
}


@pytest.fixture(scope="module")
def tool():
    """The shared tool that makes messy deliveries."""
    spec = importlib.util.spec_from_file_location("messy_delivery", shared(TOOL))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def deliver(tool, case, folder):
    data = {}
    for name in tool.FILES:
        with (shared(BASE) / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            data[name] = list(csv.reader(file))
    random.seed(7)
    tool.CASES[case](folder, data)
    return folder


@pytest.mark.parametrize("case", [*EXPECTED, *NOTHING])
def test_a_messy_delivery_gets_the_mapping_that_it_needs(tool, case, tmp_path):
    proposal = propose(deliver(tool, case, tmp_path / "delivery"))
    assert proposal.mapping == EXPECTED.get(case, {})
    assert bool(proposal.open_questions) == (case in QUESTIONS), proposal.open_questions
    assert QUESTIONS.get(case, "") in "\n".join(proposal.open_questions)


def test_every_case_of_the_tool_has_an_expected_mapping(tool):
    assert sorted(tool.CASES) == sorted([*EXPECTED, *NOTHING])


def test_what_is_read_without_a_mapping_is_a_note(tool, tmp_path):
    notes = [guess.evidence for guess in recognise(deliver(tool, "header_lower", tmp_path / "delivery")).guesses]
    assert "PAYMENTS.csv: 'fecha' in the header is read as FECHA" in notes
    proposal = recognise(deliver(tool, "sep_line", tmp_path / "other"))
    assert [guess.key for guess in proposal.guesses] == [""]
    assert proposal.guesses[0].evidence.endswith("the first line names the delimiter for Excel")
