"""A user's records go from a CSV in any dialect; all other bytes stay."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.base.command import UserError
from churn.data.contract import FILES
from churn.data.mapping import Dialect, Mapping
from churn.privacy.search import Search
from churn.privacy.subject import Subject, read_subject

PAYMENTS = "FECHA,CUS_CUST_ID_SEL,CUS_CUST_ID_BUY,SPENT,TPV_SEGMENT_DETAIL,DESCUENTO"
# Lines of the user 123, and lines that only look like it.
OWN = [
    "2024-05-01,S1,123,10.00,Instore,",
    "2024-05-01,S1, 00123 ,10.00,Instore,",
    "2024-05-01,S1,123.0,10.00,Instore,",
    '2024-05-01,"S1\nof two lines","123",10.00,Instore,',
    "2024-05-01,S1,123",
    "2024-05-01,S1,123 (old),10.00,Instore,",
    "2030-01-01,S1,123,10.00,Instore,",
]
OTHERS = [
    "2024-05-01,S1,1234,123,Instore,",
    "2024-05-01,123,7,123.00,Instore,",
    '2024-05-02,S1,8,1.00,"123, 123",0.123',
    "2024-05-01,S1,9",
]


def make_search(folder, user="123", **dialect):
    mapping = Mapping(dict.fromkeys(FILES, Dialect(**dialect)))
    return Search(read_subject(user, mapping), mapping, folder)


def mixed():
    """Return lines of the user among others, so that each is once before another line and once after one."""
    lines = [line for number in range(len(OWN)) for line in (OTHERS[number % len(OTHERS)], OWN[number])]
    return lines, [line for line in lines if line not in OWN]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "windows-1252"])
def test_only_the_users_records_go_and_every_other_byte_stays(tmp_path, end, encoding):
    lines, kept = mixed()
    path, wanted = tmp_path / "some object", tmp_path / "wanted"
    for file, rows in (path, lines), (wanted, kept):
        text = end.join([PAYMENTS, *rows, "2024-05-03,Año,5,1.00,Instore,"])
        file.write_bytes(text.encode(encoding))
    search = make_search(tmp_path, encoding=encoding)
    assert search.finds(path)
    search.remove(path)
    assert path.read_bytes() == wanted.read_bytes()
    assert not search.finds(path)


@pytest.mark.parametrize("between", [".", " ", "'", "\u2019", "\u00a0", "\u202f"])
def test_other_delimiters_names_and_thousands(tmp_path, between):
    path = tmp_path / "file"
    text = "sep=;\r\nFecha;Monto;Vendedor;Cliente;x\r\n01/05/2024;1,00;S;{};\r\n01/05/2024;12.345,00;S;9;\r\n"
    columns = {"FECHA": "Fecha", "SPENT": "Monto", "CUS_CUST_ID_SEL": "Vendedor", "CUS_CUST_ID_BUY": "Cliente"}
    others = "TPV_SEGMENT_DETAIL;DESCUENTO"
    text = text.replace(";x\r\n", f";{others}\r\n").replace("{};", "{};;").replace("9;", "9;;")
    search = make_search(tmp_path, "12345", delimiter=";", decimal=",", thousands=between, columns=columns)
    kept = text.replace("\n01/05/2024;1,00;S;{};;\r", "")
    # As it is written with and without them; and in a row that cannot be cut into fields.
    for line in f"S;12{between}345;;", "S;12345;;", f"S;{between}12345;;", f"S;12{between}345":
        path.write_bytes(text.replace("S;{};;", line).encode())
        assert search.finds(path), line
        search.remove(path)
        assert path.read_bytes() == kept.encode(), line
        rejected = pa.table({"file": ["PAYMENTS.csv"] * 2, "raw": [f"01/05/2024;1,00;{line}", "S;1;"]})
        pq.write_table(rejected, path)
        assert search.finds(path), line
        search.remove(path)
        assert pq.read_table(path).to_pylist() == rejected.to_pylist()[1:]
    path.write_bytes(kept.encode())
    assert not search.finds(path)


def test_text_ids_are_taken_as_written_and_packed_files_are_unpacked(tmp_path):
    path = tmp_path / "file.csv.gz"
    rows = ["2024-05-01,S,AR-007,1,,", "2024-05-01,S,AR-07,1,,", "2024-05-01,S,AR-0071,1,,"]
    path.write_bytes(gzip.compress("\n".join([PAYMENTS, *rows, ""]).encode()))
    search = make_search(tmp_path, "AR-007", user_id="text")
    assert search.finds(path)
    search.remove(path)
    assert gzip.decompress(path.read_bytes()).decode().splitlines() == [PAYMENTS, *rows[1:]]
    # Between quotes, a quote is written twice.
    path.write_bytes(f'{PAYMENTS}\n2024-05-01,S,"a""b",1,,\n2024-05-01,S,ab,1,,\n'.encode())
    search = make_search(tmp_path, 'a"b', user_id="text")
    assert search.finds(path)
    search.remove(path)
    assert path.read_text() == f"{PAYMENTS}\n2024-05-01,S,ab,1,,\n"


def test_a_csv_that_no_mapping_describes_any_more_loses_the_lines_that_name_the_user(tmp_path):
    path = tmp_path / "old"
    path.write_text("CUS_CUST_ID_BUY|OLD\n123|x\n1234|y\n")
    search = make_search(tmp_path)
    assert search.finds(path)
    search.remove(path)
    assert path.read_text() == "CUS_CUST_ID_BUY|OLD\n1234|y\n"


def test_tables_are_searched_by_their_ids_and_rejected_rows_by_their_field(tmp_path):
    search = make_search(tmp_path)
    (tmp_path / "PAYMENTS.csv").write_text(f"{PAYMENTS}\n")
    search.learn(tmp_path / "PAYMENTS.csv")

    def holds(**columns):
        pq.write_table(pa.table(columns), tmp_path / "table")
        return search.finds(tmp_path / "table")

    assert holds(user_id=[7, 123]) and holds(user_id=["7", "123"]) and holds(CUS_CUST_ID_BUY=[123], x=[1])
    # As pandas writes ids of which some are missing.
    assert holds(user_id=[None, 123.0]) and not holds(user_id=[None, 1234.0])
    (tmp_path / "saved.csv").write_text("user_id,score\n123.0,0.5\n,0.1\n")
    assert search.finds(tmp_path / "saved.csv")
    assert not holds(user_id=[7, 1234], amount=[123, 123])
    bad = "is after the drop of 2024-05-01"
    for raw, reason, is_found in [
        ("2030-01-01,S,123,1.00,,", bad, True),
        ("2030-01-01,S,7,123,,", bad, False),
        ("2030-01-01,S,7,123", "has too few fields", True),
        ("2030-01-01,S,7,1234", "has too few fields", False),
    ]:
        assert holds(file=["PAYMENTS.csv"], reason=[reason], raw=[raw]) is is_found, raw


def test_ids_that_no_drop_can_have_are_refused():
    for user in "", "12a", "1" * 19:
        with pytest.raises(UserError, match=r"make erase|whole numbers"):
            read_subject(user, Mapping())
    assert read_subject(" 007 ", Mapping()) == Subject("7")
