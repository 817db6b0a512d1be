from datetime import date
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from conftest import call_script

FILES = {
    "ACTIVE_USER.csv": "CUS_CUST_ID_BUY,MAU_MP_1,MAU_ML_1,MAU_ML_2,last_login_mp_date_1",
    "DEMOGRAFICOS.csv": "CUS_CUST_ID_BUY,AGE,GENDER,CARD_TYPE,CITY",
    "DINERO_CUENTA.csv": "CUS_CUST_ID_BUY,PLATA_CUENTA_1,PLATA_CUENTA_2,INVERSION",
    "MARKETPLACE_DATA.csv": "CUS_CUST_ID_BUY,SPENT_ML,RECENCY_ML,FREQUENCY_ML",
}
GOOD = {
    "ACTIVE_USER.csv": "1,8,5,4,2024-06-14",
    "DEMOGRAFICOS.csv": "1,34,F,BLACK,Buenos Aires",
    "DINERO_CUENTA.csv": "1,800.0,700.0,Investing",
    "MARKETPLACE_DATA.csv": "1,430.0,2024-05-28,6",
}
# Enough good rows to keep a few bad ones below max_reject_share.
MANY = {
    "ACTIVE_USER.csv": [f"{user},1,1,1," for user in range(100, 200)],
    "DEMOGRAFICOS.csv": [f"{user},,,," for user in range(100, 200)],
    "DINERO_CUENTA.csv": [f"{user},,," for user in range(100, 200)],
    "MARKETPLACE_DATA.csv": [f"{user},,," for user in range(100, 200)],
}


@pytest.fixture
def build(write_csv, tmp_path):
    """Build the user base from rows per file; return the base by user, and the rejects."""

    def build_user_base(**rows):
        for name, header in FILES.items():
            write_csv(name, header, *rows.get(name.removesuffix(".csv"), [GOOD[name]]), *MANY[name])
        call_script(
            "build_user_base",
            *("--raw", tmp_path / "raw", "--drop", "2024-06-15"),
            *("--clean", tmp_path / "clean", "--metrics", tmp_path / "metrics"),
        )
        base = pq.read_table(tmp_path / "clean/2024-06-15/user_base.parquet").to_pylist()
        assert [row["CUS_CUST_ID_BUY"] for row in base] == sorted(row["CUS_CUST_ID_BUY"] for row in base)
        users = {row["CUS_CUST_ID_BUY"]: row for row in base if row["CUS_CUST_ID_BUY"] < 100}
        return users, pq.read_table(tmp_path / "clean/2024-06-15/user_base_rejects.parquet").to_pylist()

    return build_user_base


def test_the_four_files_are_joined_into_one_row_per_user(build):
    users, rejects = build()
    assert rejects == []
    assert users[1] == {
        "CUS_CUST_ID_BUY": 1,
        "MAU_MP_1": 8,
        "MAU_ML_1": 5,
        "MAU_ML_2": 4,
        "last_login_mp_date_1": date(2024, 6, 14),
        "AGE": 34,
        "GENDER": "F",
        "CARD_TYPE": "BLACK",
        "CITY": "Buenos Aires",
        "PLATA_CUENTA_1": Decimal("800.00"),
        "PLATA_CUENTA_2": Decimal("700.00"),
        "INVERSION": "Investing",
        "SPENT_ML": Decimal("430.00"),
        "RECENCY_ML": date(2024, 5, 28),
        "FREQUENCY_ML": 6,
        "in_ACTIVE_USER": True,
        "in_DEMOGRAFICOS": True,
        "in_DINERO_CUENTA": True,
        "in_MARKETPLACE_DATA": True,
    }


def test_a_user_in_only_one_file_is_kept_with_nulls(build):
    users, _ = build(DINERO_CUENTA=["7,1,2,Pending"])
    assert users[7]["INVERSION"] == "Pending" and users[7]["AGE"] is None
    assert users[7]["in_DINERO_CUENTA"] and not users[7]["in_DEMOGRAFICOS"]
    assert users[1]["AGE"] == 34 and users[1]["INVERSION"] is None


def test_spellings_of_allowed_values_are_normalised_and_other_values_rejected(build):
    money = ["1,1,1,Elegible", "2,1,1, investing ", "3,1,1,WARMUP", "4,1,1,Maybe"]
    people = ["1,,f,,", "2,,M ,,", "3,,X,,", "4,130,F,,"]
    users, rejects = build(DINERO_CUENTA=money, DEMOGRAFICOS=people)
    assert [users[user]["INVERSION"] for user in (1, 2, 3)] == ["Eligible", "Investing", "Warmup"]
    assert [users[user]["GENDER"] for user in (1, 2)] == ["F", "M"]
    assert [(row["file"], row["line"], row["column"], row["reason"]) for row in rejects] == [
        ("DEMOGRAFICOS.csv", 4, "GENDER", "is not one of F, M"),
        ("DEMOGRAFICOS.csv", 5, "AGE", "must be at most 120"),
        ("DINERO_CUENTA.csv", 5, "INVERSION", "is not one of Investing, Eligible, Warmup, Pending"),
    ]


def test_every_row_of_a_repeated_user_is_rejected(build):
    users, rejects = build(ACTIVE_USER=["1,1,1,1,", "1,2,2,2,", "2,3,3,3,"])
    assert users[1]["MAU_MP_1"] is None and users[2]["MAU_MP_1"] == 3
    assert [(row["line"], row["column"]) for row in rejects] == [(2, "CUS_CUST_ID_BUY"), (3, "CUS_CUST_ID_BUY")]
