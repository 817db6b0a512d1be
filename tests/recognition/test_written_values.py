"""What is proposed for values that are written in another way: dates, numbers, ids, words, missing values."""

from datetime import date

import pytest
from deliveries import change, make_files, write_files
from proposals import guess_of, propose

from churn.data.mapping import NULLS

DATES = {"PAYMENTS": "FECHA", "ACTIVE_USER": "last_login_mp_date_1", "MARKETPLACE_DATA": "RECENCY_ML"}
MONEY = [
    ("PAYMENTS", "SPENT"),
    ("DINERO_CUENTA", "PLATA_CUENTA_1"),
    ("DINERO_CUENTA", "PLATA_CUENTA_2"),
    ("MARKETPLACE_DATA", "SPENT_ML"),
]
FRACTIONS = ("PAYMENTS", "DESCUENTO")


@pytest.fixture
def files():
    return make_files()


def change_dates(files, form):
    for name, column in DATES.items():
        change(files, name, column, lambda _, text: date.fromisoformat(text).strftime(form))


def change_ids(files, how):
    for name in files:
        change(files, name, "CUS_CUST_ID_BUY", lambda _, text: how(text))


@pytest.mark.parametrize(
    "form, expected",
    [
        ("%m/%d/%Y", "%m/%d/%Y"),
        ("%d-%m-%Y", "%d-%m-%Y"),
        ("%d.%m.%Y", "%d.%m.%Y"),
        ("%d/%m/%y", "%d/%m/%y"),
        ("%Y-%m-%dT00:00:00.000", "%Y-%m-%dT%H:%M:%S.%f"),
        ("%m/%d/%Y 12:00:00 AM", "%m/%d/%Y %I:%M:%S %p"),
    ],
)
def test_formats_of_dates(files, form, expected, tmp_path):
    change_dates(files, form)
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {"dates": expected}
    assert not proposal.open_questions and guess_of(proposal, "dates").certain


def test_names_of_months_are_a_question(files, tmp_path):
    change_dates(files, "%d-%b-%Y")
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {}
    assert "FECHA has 300 values that cannot be read, such as '01-Jan-2026'" in str(proposal.open_questions)


def test_a_mixture_of_formats_is_a_list(files, tmp_path):
    change(files, "PAYMENTS", "FECHA", lambda number, text: text.replace("-", "") if number % 4 == 0 else text)
    assert propose(write_files(tmp_path / "delivery", files)).mapping == {
        "files": {"PAYMENTS.csv": {"dates": ["%Y-%m-%d", "%Y%m%d"]}}
    }


def test_times_with_a_zone_are_a_question(files, tmp_path):
    change(files, "PAYMENTS", "FECHA", lambda _, text: f"{text}T03:10:00Z")
    proposal = propose(write_files(tmp_path / "delivery", files))
    zones = {"written": "UTC", "local": "UTC"}
    assert proposal.mapping == {"files": {"PAYMENTS.csv": {"dates": "%Y-%m-%dT%H:%M:%SZ", "time_zone": zones}}}
    assert not guess_of(proposal, "files.PAYMENTS.csv.time_zone").certain
    assert "Which time zone's days count?" in proposal.open_questions[0]


def test_two_currencies_or_units_in_a_column_are_a_question(files, tmp_path):
    change(files, "PAYMENTS", "SPENT", lambda number, text: f"{'US$' if number % 10 == 0 else '$'} {text}")
    change(files, "PAYMENTS", "DESCUENTO", lambda number, text: f"{float(text) * 100:g}%" if number % 3 else text)
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {}
    assert [question.partition(" has ")[0] for question in proposal.open_questions[:2]] == [
        "PAYMENTS.csv: SPENT",
        "PAYMENTS.csv: DESCUENTO",
    ]


def test_discounts_with_a_percent_sign_are_percentages(files, tmp_path):
    change(files, "PAYMENTS", "DESCUENTO", lambda number, _: f"0.{number % 90 + 10}%")
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {"discount": "percent", "files": {"PAYMENTS.csv": {"strip": "%"}}}


@pytest.mark.parametrize("form, other", [("%d/%m/%Y", "%m/%d/%Y"), ("%m/%d/%Y", "%d/%m/%Y")])
def test_days_up_to_twelve_are_read_as_the_dates_without_gaps(form, other, tmp_path):
    files = make_files(days=11)
    change_dates(files, form)
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {"dates": form}
    guess = guess_of(proposal, "dates")
    assert not guess.certain and other in guess.alternative
    assert any(f"of the form {form} or {other}?" in question for question in proposal.open_questions)


def test_another_file_decides_whether_the_day_is_first(tmp_path):
    files = make_files(days=11)
    change(files, "ACTIVE_USER", "last_login_mp_date_1", lambda *_: "2026-01-25")
    change_dates(files, "%m/%d/%Y")
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {"dates": "%m/%d/%Y"} and not proposal.open_questions


@pytest.mark.parametrize("separator", [".", "'", "\u00a0", " "])
def test_thousands_beside_a_decimal_comma(files, separator, tmp_path):
    def as_text(amount):
        return f"{float(amount) * 99:,.2f}".translate({ord(","): separator, ord("."): ","})

    for name, column in MONEY:
        change(files, name, column, lambda _, text: as_text(text))
    change(files, *FRACTIONS, lambda _, text: text.replace(".", ","))
    proposal = propose(write_files(tmp_path / "delivery", files, ";"))
    assert proposal.mapping == {"delimiter": ";", "decimal": ",", "thousands": separator}
    assert not proposal.open_questions


def grouped(_, text):
    return f"{int(float(text) * 100):,}".replace(",", ".")


def test_amounts_like_1_500_are_a_guess(files, tmp_path):
    for name, column in MONEY:
        change(files, name, column, grouped)
    change(files, *FRACTIONS, lambda *_: "0")
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {"decimal": ",", "thousands": "."}
    assert not guess_of(proposal, "thousands").certain
    assert len([question for question in proposal.open_questions if " or " in question]) == len(MONEY)


def test_other_amounts_decide_about_1_500(files, tmp_path):
    change(files, "DINERO_CUENTA", "PLATA_CUENTA_1", lambda number, _: f"{number + 1}.500")
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {"files": {"DINERO_CUENTA.csv": {"thousands": ""}}}
    assert "PLATA_CUENTA_1: 1.500 is 1500 or 1.500? The proposal reads 1.500" in proposal.open_questions[0]


def test_percentages_with_their_sign(files, tmp_path):
    change(files, *FRACTIONS, lambda _, text: f"{float(text) * 100:g} %")
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {"discount": "percent", "files": {"PAYMENTS.csv": {"strip": "%"}}}


@pytest.mark.parametrize(
    "how, expected",
    [
        (lambda text: text.zfill(9), {"user_id": "text"}),
        (lambda text: f"U-{text}", {"user_id": "text"}),
        (lambda text: f"12345678901234{text}99", {"user_id": "text"}),
        (lambda text: "9" * 5000 + text, {"user_id": "text"}),
        (lambda text: f"{text}.0", {}),
        (lambda text: f"{int(text):,}".replace(",", "."), {"decimal": ",", "thousands": "."}),
    ],
)
def test_ids(files, how, expected, tmp_path):
    change_ids(files, how)
    for name, column in [*MONEY, FRACTIONS]:
        change(files, name, column, lambda _, text: text.replace(".", ",") if "decimal" in expected else text)
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == expected and not proposal.open_questions


def test_a_few_ids_that_are_not_numbers_are_bad_rows(files, tmp_path):
    change(files, "PAYMENTS", "CUS_CUST_ID_BUY", lambda number, text: "test" if number == 5 else text)
    assert propose(write_files(tmp_path / "delivery", files)).mapping == {}
    change(files, "PAYMENTS", "CUS_CUST_ID_BUY", lambda number, text: f"test{number}" if number < 20 else text)
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {} and "20 of" in proposal.open_questions[0]


def test_other_texts_for_missing_values(files, tmp_path):
    change(files, "DEMOGRAFICOS", "AGE", lambda number, text: "s/d" if number % 5 == 0 else text)
    change(files, "DEMOGRAFICOS", "GENDER", lambda number, text: "-" if number % 5 == 0 else text)
    change(files, "DEMOGRAFICOS", "CITY", lambda number, text: "-" if number % 5 == 1 else text)
    change(files, "ACTIVE_USER", "last_login_mp_date_1", lambda number, text: "0000-00-00" if number % 5 else text)
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {"files": {"DEMOGRAFICOS.csv": {"nulls": [*NULLS, "s/d", "-"]}}}


def test_texts_that_nobody_knows_are_a_question(files, tmp_path):
    change(files, "DEMOGRAFICOS", "AGE", lambda number, text: "adulto" if number % 5 == 0 else text)
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {} and "AGE has 12 values that cannot be read, such as 'adulto' (12)" in str(
        proposal.open_questions
    )


def test_hombre_and_mujer_by_letter_are_a_guess(files, tmp_path):
    change(files, "DEMOGRAFICOS", "GENDER", lambda _, text: {"F": "M", "M": "H"}[text])
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {"files": {"DEMOGRAFICOS.csv": {"values": {"GENDER": {"H": "M", "M": "F"}}}}}
    assert not guess_of(proposal, "files.DEMOGRAFICOS.csv.values.GENDER").certain


def test_thousands_of_whole_numbers(files, tmp_path):
    change(files, "ACTIVE_USER", "MAU_MP_1", lambda number, text: f"1.{number + 100}" if number % 2 else text)
    change(files, "DEMOGRAFICOS", "AGE", lambda _, text: f"{text}.0")
    assert propose(write_files(tmp_path / "delivery", files)).mapping == {
        "files": {"ACTIVE_USER.csv": {"decimal": ",", "thousands": "."}}
    }


def test_amounts_with_two_kinds_of_decimals_are_a_question(files, tmp_path):
    change(files, "PAYMENTS", "SPENT", lambda _, text: text.replace(".", ","))
    proposal = propose(write_files(tmp_path / "delivery", files, ";"))
    assert proposal.mapping == {"delimiter": ";", "files": {"PAYMENTS.csv": {"decimal": ","}}}
    assert "DESCUENTO has 300 values with '.' before decimals" in proposal.open_questions[0]


def test_days_and_months_in_both_orders_are_a_question(files, tmp_path):
    orders = ["%d/%m/%Y", "%d/%m/%Y", "%m/%d/%Y"]
    change(files, "PAYMENTS", "FECHA", lambda number, text: date.fromisoformat(text).strftime(orders[number % 3]))
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {"files": {"PAYMENTS.csv": {"dates": "%d/%m/%Y"}}}
    assert len(proposal.open_questions) == 1 and "Are days and months mixed" in proposal.open_questions[0]


@pytest.mark.parametrize("before", ["US$ ", "R$", "€\u00a0", "'"])
def test_characters_around_amounts(files, before, tmp_path):
    change(files, "PAYMENTS", "SPENT", lambda _, text: before + text)
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {"files": {"PAYMENTS.csv": {"strip": before.strip(" \u00a0")}}}


def test_amounts_that_a_spreadsheet_rounded_are_a_question(files, tmp_path):
    change(files, "PAYMENTS", "SPENT", lambda number, _: f"2.{number % 90 + 10}E+05")
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert "a spreadsheet has rounded them" in proposal.open_questions[0]


def test_years_of_two_digits_that_come_first_are_not_taken_for_days(files, tmp_path):
    change(files, "PAYMENTS", "FECHA", lambda _, text: text[2:])
    change(files, "ACTIVE_USER", "last_login_mp_date_1", lambda _, text: text[2:])
    proposal = propose(write_files(tmp_path / "delivery", files))
    written = {name: proposal.mapping["files"][name]["dates"] for name in ("PAYMENTS.csv", "ACTIVE_USER.csv")}
    assert set(written.values()) == {"%y-%m-%d"}
