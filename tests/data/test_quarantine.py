"""Corrupt files in many ways: each row is kept or rejected with its line, or the file is refused with a message."""

import json
import re
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from unittest import mock

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn.base.command import UserError
from churn.data import records
from churn.data.mapping import Mapping
from churn.engines.duckdb import DuckDBEngine
from clean_payments import clean_payments

DROP = date(2024, 6, 15)
ENGINE = DuckDBEngine("1GB", "")
PARAMS = {"max_reject_share": 1.0, "extra_columns": "ignore", "duplicate_payments": "keep"}
HEADER = b"FECHA,CUS_CUST_ID_SEL,CUS_CUST_ID_BUY,SPENT,TPV_SEGMENT_DETAIL,DESCUENTO"
ROWS = [f"2024-05-{day:02},SELLER_{day},{1000 + day},{day}.50,Instore,0.0{day % 10}".encode() for day in range(1, 31)]
FIELDS = ["FECHA", "CUS_CUST_ID_SEL", "CUS_CUST_ID_BUY", "SPENT", "TPV_SEGMENT_DETAIL", "DESCUENTO"]
# Values that exporters write where they do not belong: each is tried in any field of any row.
VALUES = [
    *(b"", b" ", b"NULL", b"NaN", b"nan", b"inf", b"-inf", b"1e400", b"1e-400", b"-1", b"0", b"-0", b"1.234,56"),
    *(b'"1.234,56"', b'"1,5"', b"1.5", b"1e3", b"0x10", b"1_000", b"12x", b"99999999999999999999", b"$5", b"5 ARS"),
    *(b"2024-02-31", b"1900-01-01", b"2999-01-01", b"2024-6-1", b"01/06/2024", b"2024-06-01T00:00:00", b"2024-06-16"),
    *(
        "ñandú".encode(),
        "ñ".encode("latin-1"),
        "\u200b1".encode(),
        b"\x00",
        b"a\x00b",
        b"\xff\xfe",
        b"'; DROP TABLE x; --",
    ),
    *(
        b'""',
        b'"',
        b'"open',
        b'close"',
        b'in"side',
        b'"a""b"',
        b'"a\nb"',
        b"a;b",
        b"a\tb",
        b"\x1f",
        b"=1+1",
        b"x" * 100_000,
    ),
]


def replace_field(row: int, field: int, value: bytes) -> Callable[[bytes], bytes]:
    """Replace one field of one row."""

    def corrupt(text: bytes) -> bytes:
        lines = text.split(b"\n")
        cells = lines[1 + row % len(ROWS)].split(b",")
        cells[field % len(cells)] = value
        lines[1 + row % len(ROWS)] = b",".join(cells)
        return b"\n".join(lines)

    return corrupt


def on_a_line(change: Callable[[bytes], bytes]) -> Callable[[int], Callable[[bytes], bytes]]:
    """Return a function that changes the line of a given number, counting the header, in a whole file."""

    def of_line(number: int) -> Callable[[bytes], bytes]:
        def corrupt(text: bytes) -> bytes:
            lines = text.split(b"\n")
            at = number % (len(lines) - 1)
            lines[at] = change(lines[at])
            return b"\n".join(lines)

        return corrupt

    return of_line


LINES = {
    "cut short": on_a_line(lambda line: line[: len(line) // 2]),
    "emptied": on_a_line(lambda line: b""),
    "blank": on_a_line(lambda line: b"   "),
    "doubled": on_a_line(lambda line: line + b"\n" + line),
    "an extra field": on_a_line(lambda line: line + b",9"),
    "a comma at the end": on_a_line(lambda line: line + b","),
    "thousands of fields": on_a_line(lambda line: line + b",1" * 5000),
    "fields swapped": on_a_line(lambda line: b",".join(reversed(line.split(b",")))),
    "semicolons": on_a_line(lambda line: line.replace(b",", b";")),
    "tabs": on_a_line(lambda line: line.replace(b",", b"\t")),
    "all quoted": on_a_line(lambda line: b'"' + line.replace(b",", b'","') + b'"'),
    "quoted as a whole": on_a_line(lambda line: b'"' + line + b'"'),
    "a quote that never closes": on_a_line(lambda line: b'"' + line),
    "a NUL byte": on_a_line(lambda line: line[:5] + b"\x00" + line[5:]),
    "a carriage return inside": on_a_line(lambda line: line[:12] + b"\r" + line[12:]),
    "upper case": on_a_line(lambda line: line.upper()),
    "the header again": on_a_line(lambda line: line + b"\n" + HEADER),
    "a comment": on_a_line(lambda line: b"# exported\n" + line),
    "ten million bytes in one field": on_a_line(lambda line: line.replace(b"SELLER", b"S" * 10_000_000)),
}
WHOLE = {
    "unchanged": lambda text: text,
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "CRLF": lambda text: text.replace(b"\n", b"\r\n"),
    "no line end at the end": lambda text: text.rstrip(b"\n"),
    "blank lines at the end": lambda text: text + b"\n\n\n",
    "truncated": lambda text: text[: len(text) * 2 // 3],
    "truncated inside a character": lambda text: text[:-20] + "ñ".encode()[:1],
    "UTF-16": lambda text: text.decode("latin-1").encode("utf-16"),
    "Latin-1": lambda text: text.replace(b"Instore", "Educación".encode("latin-1")),
    "empty": lambda text: b"",
    "only a header": lambda text: HEADER + b"\n",
    "no header": lambda text: text.split(b"\n", 1)[1],
    "zeros": lambda text: b"\x00" * 500,
    "old Mac line ends": lambda text: text.replace(b"\n", b"\r"),
    "a web page": lambda text: b"<html><body>Not found</body></html>\n",
}
CORRUPTIONS = st.one_of(
    st.builds(replace_field, st.integers(0, 29), st.integers(0, 5), st.sampled_from(VALUES)),
    st.builds(lambda kind, line: LINES[kind](line), st.sampled_from(sorted(LINES)), st.integers(0, 30)),
)


def check(text: bytes, split_bytes: int = 1 << 26) -> str:
    """Clean a file in splits of about `split_bytes`; return the error message if the file is refused.

    Otherwise check that every line is accounted for.
    """
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(records, "SPLIT_BYTES", split_bytes):
        path, kept, rejects, metrics = (
            Path(folder, name) for name in ("PAYMENTS.csv", "kept.parquet", "rejects.parquet", "metrics.json")
        )
        path.write_bytes(text)
        try:
            clean_payments(ENGINE, path, DROP, kept, rejects, metrics, PARAMS, Mapping())
        except UserError as error:
            assert str(path) in str(error)
            assert not any(output.exists() for output in (kept, rejects, metrics)), "partial output"
            return str(error)
        counts = json.loads(metrics.read_text())["PAYMENTS.csv"]
        lines = re.split(b"\r\n|\r|\n", text.removeprefix(b"\xef\xbb\xbf"))
        found = pq.read_table(rejects).to_pylist()
        aside = [row for row in found if row["outcome"] == "rejected"]
        # Of the values above, one has a line break.
        rows, breaks = sum(1 for line in lines[1:] if line), len(re.findall(b'"a(?:\r\n|\r|\n)b"', text))
        assert rows - breaks <= counts["rows_in"] + counts["skipped"] <= rows
        assert counts["rows_in"] == counts["kept"] + counts["rejected"]
        assert sum(counts["nulled"].values()) == len(found) - len(aside)
        assert (counts["kept"], counts["rejected"]) == (len(pq.read_table(kept)), len(aside))
        assert sum(counts["reasons"].values()) == counts["rejected"]
        for reject in found:
            assert reject["reason"]
            assert reject["raw"].split("\n")[0][:50] in lines[reject["line"] - 1].decode(errors="replace")
        for row in pq.read_table(kept).to_pylist():
            assert row["FECHA"] <= DROP and row["SPENT"] > 0 and row["CUS_CUST_ID_SEL"]
            assert row["DESCUENTO"] is None or 0 <= row["DESCUENTO"] <= 1
        return ""


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CORRUPTIONS, min_size=1, max_size=3), st.sampled_from(sorted(WHOLE)), st.sampled_from([500, 1 << 26]))
def test_every_row_is_kept_or_rejected(corruptions, whole, split_bytes):
    text = b"\n".join([HEADER, *ROWS, b""])
    for corrupt in corruptions:
        text = corrupt(text)
    check(WHOLE[whole](text), split_bytes)


REFUSED = {
    "UTF-16": "make check SOURCE",
    "empty": "is empty",
    "only a header": "has a header but no rows",
    "no header": "line 1: column",
    "zeros": "line 1",
    "a web page": "line 1: column",
}


def test_each_way_to_corrupt_a_whole_file():
    text = b"\n".join([HEADER, *ROWS, b""])
    for name, corrupt in WHOLE.items():
        message = check(corrupt(text))
        assert (name in REFUSED) is bool(message), (name, message)
        assert REFUSED.get(name, "") in message, name


def test_a_folder_in_place_of_the_file(tmp_path):
    (tmp_path / "PAYMENTS.csv").mkdir()
    outputs = [tmp_path / name for name in ("kept.parquet", "rejects.parquet", "metrics.json")]
    with pytest.raises(UserError, match=r"PAYMENTS\.csv is a folder"):
        clean_payments(ENGINE, tmp_path / "PAYMENTS.csv", DROP, *outputs, PARAMS, Mapping())


@pytest.mark.slow
def test_each_way_to_corrupt_a_line_and_a_value():
    text = b"\n".join([HEADER, *ROWS, b""])
    for of_line in LINES.values():
        for number in 0, 7, 30:
            check(of_line(number)(text))
    for value in VALUES:
        for field in range(len(FIELDS)):
            check(replace_field(7, field, value)(text))
