import json
from datetime import date
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT, call_script, run_script

HEADER = "FECHA,CUS_CUST_ID_SEL,CUS_CUST_ID_BUY,SPENT,TPV_SEGMENT_DETAIL,DESCUENTO"
GOOD = "2024-05-10,SELLER_1,1001,120.5,Instore,0.05"


# A bad row, the column that is reported, and the start of the reason.
BAD_ROWS = [
    ("2024-02-31,S,1,5,Instore,0", "FECHA", "is not a date"),
    ("2024-6-1,S,1,5,Instore,0", "FECHA", "is not a date"),
    (",S,1,5,Instore,0", "FECHA", "is empty"),
    ("2024-06-16,S,1,5,Instore,0", "FECHA", "is after the drop of 2024-06-15"),
    ("2024-06-01,,1,5,Instore,0", "CUS_CUST_ID_SEL", "is empty"),
    ("2024-06-01,S,,5,Instore,0", "CUS_CUST_ID_BUY", "is empty"),
    ("2024-06-01,S,12x,5,Instore,0", "CUS_CUST_ID_BUY", "is not a whole number"),
    ("2024-06-01,S,1.5,5,Instore,0", "CUS_CUST_ID_BUY", "is not a whole number"),
    ("2024-06-01,S,1,-5,Instore,0", "SPENT", "must be above 0"),
    ("2024-06-01,S,1,0,Instore,0", "SPENT", "must be above 0"),
    ("2024-06-01,S,1,nan,Instore,0", "SPENT", "is empty"),
    ("2024-06-01,S,1,inf,Instore,0", "SPENT", "is not an amount"),
    ("2024-06-01,S,1,1e400,Instore,0", "SPENT", "is not an amount"),
    ('2024-06-01,S,1,"1.234,56",Instore,0', "SPENT", "is not an amount"),
    ("2024-06-01,S,1,5", None, "has too few fields"),
    ("2024-06-01,S,1,5,Instore,0,9", None, "has too many fields"),
    ('2024-06-01,"S"x,1,5,Instore,0', None, "has a quote that is not closed"),
    ('2024-06-01,"S,1,5,Instore,0', None, "has a quote that is not closed"),
    ('2024-06-01,S"x,"1,5,Instore,0', None, "has a quote that is not closed"),
    ("2024-06-01,S\0,1,5,Instore,0", None, "contains a NUL byte"),
    (HEADER, None, "repeats the header"),
]


@pytest.fixture
def clean(write_csv, tmp_path):
    """Clean lines of a CSV; return the rows kept and rejected, or the error message if the stage fails."""

    def clean_payments(*lines, fails=False, share=1.0, **others):
        params = tmp_path / "params.yaml"
        settings = yaml.safe_load((ROOT / "params.yaml").read_text())
        settings["clean_payments"] |= {"max_reject_share": share, **others}
        params.write_text(yaml.safe_dump(settings))
        answer = call_script(
            "clean_payments",
            *("--raw", write_csv("PAYMENTS.csv", *lines).parents[1], "--drop", "2024-06-15", "--params", params),
            *("--clean", tmp_path / "clean", "--metrics", tmp_path / "metrics"),
            fails=fails,
        )
        if fails:
            assert not list(tmp_path.rglob("*.parquet")), "a failed stage leaves nothing behind"
            return answer.stderr
        return [
            pq.read_table(tmp_path / f"clean/2024-06-15/payments_{name}.parquet").to_pylist()
            for name in ("clean", "rejects")
        ]

    return clean_payments


def test_good_rows_are_typed_and_keep_their_order(clean):
    kept, rejects = clean(HEADER, GOOD, "2024-06-01,S,2,5.00,TopUps,")
    assert rejects == []
    assert kept == [
        {
            "FECHA": date(2024, 5, 10),
            "CUS_CUST_ID_SEL": "SELLER_1",
            "CUS_CUST_ID_BUY": 1001,
            "SPENT": Decimal("120.50"),
            "TPV_SEGMENT_DETAIL": "Instore",
            "DESCUENTO": Decimal("0.05"),
        },
        {
            "FECHA": date(2024, 6, 1),
            "CUS_CUST_ID_SEL": "S",
            "CUS_CUST_ID_BUY": 2,
            "SPENT": Decimal("5.00"),
            "TPV_SEGMENT_DETAIL": "TopUps",
            "DESCUENTO": None,
        },
    ]


def test_each_bad_row_is_set_aside_with_line_column_and_reason(clean):
    lines = [HEADER, GOOD, "", *(row for row, _, _ in BAD_ROWS), GOOD]
    kept, rejects = clean(*lines)
    assert len(kept) == 2
    assert len(rejects) == len(BAD_ROWS)
    for reject, (row, column, reason) in zip(rejects, BAD_ROWS, strict=True):
        assert lines[reject["line"] - 1] == reject["raw"] == row
        assert (reject["file"], reject["column"]) == ("PAYMENTS.csv", column)
        assert reject["reason"].startswith(reason)


def test_columns_may_be_in_any_order_and_unknown_ones_are_ignored(clean):
    kept, _ = clean(
        "SPENT,EXTRA,FECHA,CUS_CUST_ID_BUY,TPV_SEGMENT_DETAIL,DESCUENTO,CUS_CUST_ID_SEL", "5,x,2024-06-01,1,T,0,S"
    )
    assert kept[0]["SPENT"] == 5 and "EXTRA" not in kept[0]


def test_unknown_columns_can_be_refused(clean):
    message = clean(f"{HEADER},EXTRA", f"{GOOD},x", fails=True, extra_columns="refuse")
    assert "line 1: column EXTRA is not in the contract" in message and "extra_columns" in message


def test_duplicate_payments_are_kept_or_all_but_the_first_rejected(clean, tmp_path):
    copies = [GOOD, "2024-06-01,S,2,5,TopUps,", GOOD, "2024-05-10,SELLER_1,1001,120.50,Instore,0.0500"]
    kept, rejects = clean(HEADER, *copies)
    assert len(kept) == 4 and rejects == []
    kept, rejects = clean(HEADER, *copies, duplicate_payments="drop", share=0.0)
    assert len(kept) == 2
    assert [(row["line"], row["column"], row["raw"]) for row in rejects] == [(4, None, GOOD), (5, None, copies[3])]
    counts = json.loads((tmp_path / "metrics/2024-06-15.json").read_text())["PAYMENTS.csv"]
    assert (counts["rows_in"], counts["kept"], counts["rejected"]) == (4, 2, 2)
    assert list(counts["reasons"].values()) == [2]


def test_too_many_bad_rows_fail_the_stage_with_examples(clean):
    message = clean(HEADER, *[GOOD] * 8, "2024-06-01,S,1,-5,Instore,0", fails=True, share=0.1)
    assert "1 of 9 rows are bad (11.1%" in message
    assert "line 10: SPENT must be above 0 (1 rows): 2024-06-01,S,1,-5,Instore,0" in message
    assert "max_reject_share" in message


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "is empty. Its first line must be"),
        ((HEADER,), "has a header but no rows"),
        ((HEADER.replace("SPENT", "AMOUNT"), GOOD), "line 1: column SPENT is missing"),
        ((f"{HEADER},SPENT", f"{GOOD},1"), "column SPENT appears more than once"),
    ],
)
def test_an_error_about_a_file_says_what_to_fix(clean, lines, message):
    assert message in clean(*lines, fails=True)


def test_a_missing_file_and_a_wrong_drop_date_are_reported(tmp_path):
    folders = ("--raw", tmp_path, "--clean", tmp_path / "clean", "--metrics", tmp_path / "metrics")
    gone = run_script("clean_payments", "--drop", "2024-06-15", *folders, fails=True)
    assert f"{tmp_path}/2024-06-15/PAYMENTS.csv is missing" in gone.stderr
    wrong = run_script("clean_payments", "--drop", "15.6.2024", *folders, fails=True)
    assert "Not a drop date: '15.6.2024'. Use YYYY-MM-DD." in wrong.stderr
