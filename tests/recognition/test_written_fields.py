"""What is proposed for files whose encoding, names, columns or lines differ, and how a proposal is written."""

import gzip

import pytest
import yaml
from deliveries import change, make_files, write_files
from proposals import PROPOSED, guess_of, propose

from churn.base.command import UserError
from churn.data.mapping import read_mapping
from churn.deliveries.file_names import match_names
from churn.recognition.delivery import recognise
from churn.recognition.proposal import Proposal, write_proposal


@pytest.fixture
def files():
    return make_files()


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


def test_a_name_with_brackets_or_a_pattern_of_two_files_is_the_whole_name(files, tmp_path):
    names = {"PAYMENTS": "pagos [20260322].csv", "MARKETPLACE_DATA": "20260322.csv", "ACTIVE_USER": "20260323.csv"}
    proposal = propose(write_files(tmp_path / "delivery", {names.get(name, name): files[name] for name in files}))
    assert proposal.mapping["files"] == {
        "PAYMENTS.csv": {"name": "pagos [[]*].csv"},
        "ACTIVE_USER.csv": {"name": "20260323.csv"},
        "MARKETPLACE_DATA.csv": {"name": "20260322.csv"},
    }
    delivered = [path.name for path in (tmp_path / "delivery").iterdir()]
    mapping = read_mapping(tmp_path / PROPOSED)
    assert [len(names) for names in match_names(delivered, mapping.names).values()] == [1] * 5


def test_characters_that_need_quotes_are_written_so_that_yaml_reads_them(tmp_path):
    texts = [
        "\u00a0",
        "\u202f$",
        "#¡VALOR!",
        "a, b]",
        "- x",
        "{}",
        "=\"'",
        "año: 1",
        "",
        "\t",
        "null",
        "1_0",
        "\U0001f600\x85\U000e0001",
    ]
    proposal = Proposal({"nulls": texts, "files": {"PAYMENTS.csv": {"columns": {"FECHA": "Día: #1"}}}})
    write_proposal(proposal, tmp_path / PROPOSED)
    assert yaml.safe_load((tmp_path / PROPOSED).read_text()) == proposal.mapping
    assert '["\\u00a0", "\\u202f$", \'#¡VALOR!\'' in (tmp_path / PROPOSED).read_text()


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
    text = (tmp_path / PROPOSED).read_text().splitlines()
    above = text[: text.index("      FECHA: Fecha de pago")]
    assert above[-2].startswith("      # There is no FECHA") and "GUESS, CHECK THIS" in above[-1]


def test_a_column_with_an_unlike_name_is_a_question(files, tmp_path):
    files["DEMOGRAFICOS"][0][1:3] = ["X1", "X2"]
    proposal = propose(write_files(tmp_path / "delivery", files))
    assert proposal.mapping == {}
    assert "no AGE, GENDER. Which of its other columns are they: 'X1', 'X2'?" in proposal.open_questions[0]


def test_lines_before_the_header_are_skipped(files, tmp_path):
    folder = write_files(tmp_path / "delivery", files)
    for path in folder.iterdir():
        path.write_text(f"Reporte semanal,,\n\nsep=,\n{path.read_text()}")
    assert propose(folder).mapping == {"skip": {"lines": 2}}


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


def test_a_proposal_is_no_mapping_if_the_schema_changes(files, tmp_path):
    proposal = propose(write_files(tmp_path / "delivery", files))
    proposal.mapping["unknown"] = 1
    write_proposal(proposal, tmp_path / "mapping.yaml")
    with pytest.raises(UserError, match="unknown key 'unknown'"):
        read_mapping(tmp_path / "mapping.yaml")


def test_the_proposal_begins_with_the_questions(files, tmp_path):
    change(files, "PAYMENTS", "SPENT", lambda number, text: f"-{text}" if number % 9 == 0 else text)
    propose(write_files(tmp_path / "delivery", files))
    text = (tmp_path / PROPOSED).read_text()
    assert "# Open questions" in text and "refunds: subtract" in text and text.rstrip().endswith("{}")


def test_a_folder_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        recognise(tmp_path / "delivery")


def test_a_delivery_without_one_of_its_files_is_a_question(files, tmp_path):
    del files["DINERO_CUENTA"]
    folder = write_files(tmp_path / "delivery", {**files, "notes.csv": [["a", "b"], ["1", "2"]]})
    (folder / ".~lock.PAYMENTS.csv#").touch()
    proposal = propose(folder)
    assert proposal.mapping == {}
    assert "has no DINERO_CUENTA.csv" in proposal.open_questions[0] and "notes.csv" in proposal.open_questions[0]


def test_an_empty_file_and_a_file_without_rows_are_questions(files, tmp_path):
    folder = write_files(tmp_path / "delivery", files | {"ACTIVE_USER": files["ACTIVE_USER"][:1]})
    (folder / "PAYMENTS.csv").write_text("")
    questions = propose(folder).open_questions
    assert questions == [
        "PAYMENTS.csv is empty. Deliver it again.",
        "ACTIVE_USER.csv has no rows. Is it complete?",
    ]


@pytest.mark.parametrize(
    "content, question",
    [
        (b"PK\x03\x04\x14\x00" + bytes(range(256)) * 40, "no line that can be the header"),
        (b"<html>\n<h1>Error 500</h1>, sorry\n</html>\n", "no line that can be the header"),
        (b"\0" * 100_000, "is empty"),
    ],
)
def test_a_file_that_is_not_a_csv_is_a_question(files, content, question, tmp_path):
    folder = write_files(tmp_path / "delivery", files)
    (folder / "PAYMENTS.csv").write_bytes(content)
    proposal = propose(folder)
    assert proposal.mapping == {} and question in proposal.open_questions[0]


def test_a_quote_that_is_never_closed_costs_its_line_only(files, tmp_path):
    files["PAYMENTS"][5][1] = '"S_1'
    for row in files["PAYMENTS"][1:]:
        row[0] = row[0].replace("-", "")
    assert propose(write_files(tmp_path / "delivery", files)).mapping == {
        "files": {"PAYMENTS.csv": {"dates": "%Y%m%d"}}
    }
