"""What is proposed for deliveries made here: encodings, names, numbers, dates, ids and words."""

import gzip
from datetime import date

import pytest
import yaml
from deliveries import change, make_files, write_files

from churn.base.command import UserError
from churn.data.mapping import NULLS, read_mapping
from churn.recognition.delivery import recognise
from churn.recognition.proposal import write_proposal

DATES = {"PAYMENTS": "FECHA", "ACTIVE_USER": "last_login_mp_date_1", "MARKETPLACE_DATA": "RECENCY_ML"}
MONEY = [
    ("PAYMENTS", "SPENT"),
    ("DINERO_CUENTA", "PLATA_CUENTA_1"),
    ("DINERO_CUENTA", "PLATA_CUENTA_2"),
    ("MARKETPLACE_DATA", "SPENT_ML"),
]
FRACTIONS = ("PAYMENTS", "DESCUENTO")
TODAY = date(2026, 4, 1)


@pytest.fixture
def files():
    return make_files()


def propose(folder):
    """Return the proposal, after writing and reading it."""
    proposal = recognise(folder, TODAY)
    written = folder.parent / "mapping.proposed.yaml"
    write_proposal(proposal, written)
    read_mapping(written)
    assert (yaml.safe_load(written.read_text()) or {}) == proposal.mapping
    return proposal


def change_dates(files, form):
    for name, column in DATES.items():
        change(files, name, column, lambda _, text: date.fromisoformat(text).strftime(form))


def change_ids(files, how):
    for name in files:
        change(files, name, "CUS_CUST_ID_BUY", lambda _, text: how(text))


def guess_of(proposal, key):
    (guess,) = [guess for guess in proposal.guesses if guess.key == key]
    return guess


def test_the_contract_itself_needs_nothing(files, tmp_path):
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert (proposal.mapping, proposal.guesses, proposal.open_questions) == ({}, [], [])


@pytest.mark.parametrize(
    "encoding, expected", [("windows-1252", "windows-1252"), ("cp850", "cp850"), ("utf-16-le", "utf-16-le")]
)
def test_an_encoding_that_all_files_share(files, encoding, expected, tmp_path):
    for rows in files.values():
        for row in rows[1:20]:
            row.append("Córdoba, Ñuñoa, Medellín")
        rows[0].append("BARRIO")
    proposal = propose(write_files(tmp_path / "delivery", files, "|", encoding))
    assert proposal.mapping == {"encoding": expected, "delimiter": "|"}
    assert "PAYMENTS.csv: " in guess_of(proposal, "encoding").evidence


def test_a_file_in_utf8_with_a_few_other_lines_stays_utf8(files, tmp_path):
    change(files, "DEMOGRAFICOS", "CITY", lambda *_: "Córdoba")
    path = write_files(tmp_path / "delivery", files) / "DEMOGRAFICOS.csv"
    path.write_bytes(path.read_bytes().replace("Córdoba".encode(), "Córdoba".encode("latin-1"), 2))
    proposal = propose(path.parent)
    assert proposal.mapping == {}
    assert "2 lines are not" in proposal.open_questions[0]


def test_files_under_other_names_are_found_by_name_or_by_columns(files, tmp_path):
    names = {"PAYMENTS": "pagos_2026-03-22.csv", "DINERO_CUENTA": "export_b_20260322.csv", "ACTIVE_USER": "x.txt"}
    proposal = propose(write_files(tmp_path / "delivery", {names.get(name, name): files[name] for name in files}))
    assert proposal.mapping == {
        "files": {
            "PAYMENTS.csv": {"name": "pagos_*.csv"},
            "ACTIVE_USER.csv": {"name": "x.txt"},
            "DINERO_CUENTA.csv": {"name": "export_b_*.csv"},
        }
    }


def test_two_files_with_the_same_columns_are_a_question(files, tmp_path):
    files = {"pagos_1.csv" if name == "PAYMENTS" else name: rows for name, rows in files.items()}
    folder = write_files(tmp_path / "delivery", {**files, "pagos_2.csv": files["pagos_1.csv"]})
    proposal = propose(folder)
    assert "pagos_1.csv or pagos_2.csv" in proposal.open_questions[0]


def test_columns_under_other_names_are_guesses(files, tmp_path):
    files["PAYMENTS"][0][:4] = ["Fecha de pago", "Vendedor", "Usuario", "Importe"]
    files["DEMOGRAFICOS"][0][1:3] = ["EDAD", "Sexo"]
    proposal = propose(write_files(tmp_path / "delivery", files, ";"))
    assert proposal.mapping == {
        "delimiter": ";",
        "files": {
            "PAYMENTS.csv": {
                "columns": {
                    "FECHA": "Fecha de pago",
                    "CUS_CUST_ID_SEL": "Vendedor",
                    "CUS_CUST_ID_BUY": "Usuario",
                    "SPENT": "Importe",
                }
            },
            "DEMOGRAFICOS.csv": {"columns": {"AGE": "EDAD", "GENDER": "Sexo"}},
        },
    }
    guess = guess_of(proposal, "files.PAYMENTS.csv.columns.FECHA")
    assert not guess.certain and "100%" in guess.evidence and guess.alternative
    text = (tmp_path / "mapping.proposed.yaml").read_text().splitlines()
    above = text[: text.index("      FECHA: Fecha de pago")]
    assert above[-2].startswith("      # There is no FECHA") and "GUESS, CHECK THIS" in above[-1]


def test_a_column_with_an_unlike_name_is_a_question(files, tmp_path):
    files["DEMOGRAFICOS"][0][1:3] = ["X1", "X2"]
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {}
    assert any("which column is AGE? It has 'X1', 'X2'" in question for question in proposal.open_questions)


def test_lines_before_the_header_are_skipped(files, tmp_path):
    folder = write_files(tmp_path / "delivery", files)
    for path in folder.iterdir():
        path.write_text(f"Reporte semanal,,\n\nsep=,\n{path.read_text()}")
    assert propose(folder).mapping == {"skip": {"lines": 2}}


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
    assert "PAYMENTS.csv: FECHA has 300 values that cannot be read, such as '01-Jan-2026'" in str(
        proposal.open_questions
    )


def test_a_mixture_of_formats_is_a_list(files, tmp_path):
    change(files, "PAYMENTS", "FECHA", lambda number, text: text.replace("-", "") if number % 4 == 0 else text)
    assert propose(write_files(tmp_path / "delivery", files)).mapping == {
        "files": {"PAYMENTS.csv": {"dates": ["%Y-%m-%d", "%Y%m%d"]}}
    }


def test_times_with_a_zone_are_a_question(files, tmp_path):
    change(files, "PAYMENTS", "FECHA", lambda _, text: f"{text}T03:10:00Z")
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {"files": {"PAYMENTS.csv": {"dates": "%Y-%m-%dT%H:%M:%SZ"}}}
    assert "Set time_zone" in proposal.open_questions[0]


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


def test_the_whole_of_a_large_file_is_looked_at(files, tmp_path):
    # 6 MB of days up to 12 in order, then a day above 12; and one letter that is not UTF-8 in the middle.
    payments = files["PAYMENTS"]
    days = [f"{1 + number * 12 // 130_000:02}/03/2026" for number in range(130_000)] + ["13/03/2026"] * 2_000
    rows = [[day, *payments[1 + number % 200][1:]] for number, day in enumerate(days)]
    rows[100_000][4] = "Café"
    files["PAYMENTS"] = [payments[0], *rows]
    folder = write_files(tmp_path / "delivery", files, encoding="windows-1252")
    packed = folder / "PAYMENTS.csv.gz"
    packed.write_bytes(gzip.compress((folder / "PAYMENTS.csv").read_bytes(), 1))
    (folder / "PAYMENTS.csv").unlink()
    assert propose(folder).mapping == {"files": {"PAYMENTS.csv": {"encoding": "windows-1252", "dates": "%d/%m/%Y"}}}


@pytest.mark.parametrize("separator", [".", "'", "\u00a0", " "])
def test_thousands_beside_a_decimal_comma(files, separator, tmp_path):
    for name, column in MONEY:
        change(
            files,
            name,
            column,
            lambda _, text: f"{float(text) * 99:,.2f}".replace(",", separator)[::-1].replace(".", ",", 1)[::-1],
        )
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


def test_a_proposal_is_no_mapping_if_the_schema_changes(files, tmp_path):
    proposal = propose(write_files(tmp_path / "delivery", files))
    proposal.mapping["unknown"] = 1
    write_proposal(proposal, tmp_path / "mapping.yaml")
    with pytest.raises(UserError, match="unknown key 'unknown'"):
        read_mapping(tmp_path / "mapping.yaml")


def test_the_proposal_begins_with_the_questions(files, tmp_path):
    change(files, "PAYMENTS", "SPENT", lambda number, text: f"-{text}" if number % 9 == 0 else text)
    propose(write_files(tmp_path / "delivery", files))
    text = (tmp_path / "mapping.proposed.yaml").read_text()
    assert "# Open questions" in text and "refunds: subtract" in text and text.rstrip().endswith("{}")
