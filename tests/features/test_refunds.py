"""Refunds reduce `payments_sum` and nothing else, with both engines."""

import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from candidates import IGNORE_SOCKETS
from conftest import ROOT

from build_features import build_features
from build_training_set import build_training_set
from churn.base.command import UserError
from churn.base.drops import write_list
from churn.base.params import read_params
from churn.engines import open_engine
from churn.features import definitions
from churn.features.definitions import Feature

pytestmark = [IGNORE_SOCKETS, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]
PARAMS = read_params(ROOT / "params.yaml")
PARAMS["spark"]["partitions"] = 2
WINDOWS = {"lookback_days": 30, "horizon_days": 10}
DROP, HOLDOUT = date(2024, 6, 15), date(2024, 6, 5)
MONEY, FRACTION = pa.decimal128(18, 2), pa.decimal128(9, 6)
USERS = {"MAU_MP_1": pa.int32(), "MAU_ML_1": pa.int32(), "MAU_ML_2": pa.int32(), "AGE": pa.int32()}
USERS |= dict.fromkeys(("GENDER", "CARD_TYPE", "CITY", "INVERSION"), pa.string())
USERS |= dict.fromkeys(("PLATA_CUENTA_1", "PLATA_CUENTA_2", "SPENT_ML"), MONEY)
USERS |= {"RECENCY_ML": pa.date32(), "FREQUENCY_ML": pa.int32()}
FILES = ("ACTIVE_USER", "DEMOGRAFICOS", "DINERO_CUENTA", "MARKETPLACE_DATA")

# User, days before the drop, amount. Everyone but 3 and 4 pays; user 1 pays 10.10 three times in the lookback.
PAYMENTS = [(1, 0, "10.10"), (1, 12, "10.10"), (1, 20, "10.10"), (1, 60, "5.00"), (2, 3, "0.30"), (2, 15, "0.30")]
PAYMENTS += [(9, day, "1.00") for day in range(90)]
REFUNDS = [
    (1, 1, "-10.10"),
    (1, 11, "-0.20"),
    (1, 11, "-0.20"),  # an identical refund counts too
    (1, 45, "-4.00"),  # before the lookback
    (2, 2, "-1.00"),  # more than the user paid
    (3, 5, "-7.00"),  # the user has no payment at all
]


def write_drop(folder: Path, payments: list, refunds: list) -> None:
    """Write what clean_payments and build_user_base write."""
    rows = [(*row, "S1", "Instore", "0.1") for row in payments] + [(*row, "S2", "Refund", "0.9") for row in refunds]
    users, days, amounts, sellers, segments, discounts = zip(*rows, strict=True)
    clean = folder / "clean" / str(DROP)
    table = {
        "FECHA": pa.array([DROP - timedelta(days=ago) for ago in days]),
        "CUS_CUST_ID_SEL": sellers,
        "CUS_CUST_ID_BUY": pa.array(users, pa.int64()),
        "SPENT": pa.array(map(Decimal, amounts), MONEY),
        "TPV_SEGMENT_DETAIL": segments,
        "DESCUENTO": pa.array(map(Decimal, discounts), FRACTION),
    }
    base = {"CUS_CUST_ID_BUY": pa.array(sorted({*users, 4}), pa.int64())}
    base |= {name: pa.nulls(len(base["CUS_CUST_ID_BUY"]), kind) for name, kind in USERS.items()}
    base["CARD_TYPE"] = pa.array(["é" * 100] * len(base["CUS_CUST_ID_BUY"]))
    base |= {f"in_{name}": pa.array([True] * len(base["CUS_CUST_ID_BUY"])) for name in FILES}
    for name, columns in {"payments_clean.parquet": table, "user_base.parquet": base}.items():
        (clean / name).mkdir(parents=True)
        pq.write_table(pa.table(columns), clean / name / "part-00000.parquet")
    counts = {"covered": [[str(DROP - timedelta(days=89)), str(DROP)]]} | ({"refunds": len(refunds)} if refunds else {})
    (folder / "coverage").mkdir()
    (folder / "coverage" / f"{DROP}.json").write_text(json.dumps({"PAYMENTS.csv": counts}))
    write_list(folder / "drops.yaml", "own", [DROP])


def run(engine, folder: Path, payments: list, refunds: list) -> tuple[dict, dict, dict, dict]:
    """Return features by user, counts, rows of the training set by date and user, and its metrics."""
    write_drop(folder, payments, refunds)
    features = folder / "features" / str(DROP) / "churn_features.parquet"
    sources = folder / "clean", folder / "coverage"
    build_features(engine, *sources, DROP, features, folder / "counts.json", WINDOWS)
    listed = {"as_of_dates": [str(HOLDOUT - timedelta(days=10)), str(HOLDOUT)]}
    outputs = [folder / name for name in ("train.parquet", "holdout.parquet", "metrics.json")]
    folders = folder / "clean", folder / "features", folder / "coverage", folder / "drops.yaml"
    build_training_set(engine, *folders, *outputs, PARAMS["build_training_set"] | WINDOWS | listed)
    rows = pa.concat_tables([pq.read_table(path) for path in outputs[:2]]).to_pylist()
    return (
        {row["user_id"]: row for row in pq.read_table(features).to_pylist()},
        json.loads((folder / "counts.json").read_text()),
        {(row["as_of_date"], row["user_id"]): row for row in rows},
        json.loads(outputs[2].read_text()),
    )


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def runs(request, tmp_path_factory):
    """The same drop with and without refunds."""
    with open_engine(PARAMS | {"engine": request.param}) as engine:
        return [run(engine, tmp_path_factory.mktemp(request.param), PAYMENTS, refunds) for refunds in (REFUNDS, [])]


def test_a_refund_reduces_the_sum_of_its_own_lookback(runs):
    (features, _, rows, _), _ = runs
    assert {user: row["payments_sum"] for user, row in features.items()} == {1: 19.8, 2: -0.4, 9: 30.0}
    early = HOLDOUT - timedelta(days=10)
    sums = {key: row["payments_sum"] for key, row in rows.items() if key[1] != 9}
    # The holdout is 10 days before the drop: the refunds of 11 days before it are known, those of 1 and 2 days are not.
    assert sums == {(HOLDOUT, 1): 19.8, (HOLDOUT, 2): 0.3, (early, 1): 10.1 - 4.0}


def test_nothing_else_counts_a_refund(runs):
    for table, without in zip((runs[0][0], runs[0][2]), (runs[1][0], runs[1][2]), strict=True):
        assert table.keys() == without.keys()
        for key, row in table.items():
            assert row | {"payments_sum": 0} == without[key] | {"payments_sum": 0}
            assert row["avg_discount"] == 0.1, "exactly, on both engines"
    assert runs[0][3] == runs[1][3], "the same rows and labels"


def test_both_engines_cut_long_card_types_by_characters(runs):
    assert {row["card_type"] for row in runs[0][0].values()} == {"é" * 60}


def test_users_with_refunds_only_are_no_payers(runs):
    counts = runs[0][1]
    assert counts["users"] == counts["payers"] == 3
    assert counts["users_who_never_pay"] == 2, "users 3 and 4"


def test_a_refund_after_the_as_of_date_does_not_leak(runs):
    (_, _, rows, _), (_, _, without, _) = runs
    key = HOLDOUT, 2
    assert rows[key]["payments_sum"] == without[key]["payments_sum"] == 0.3


def test_a_refund_feature_that_reads_later_refunds_is_refused(monkeypatch, tmp_path):
    write_drop(tmp_path, PAYMENTS, REFUNDS)
    clean = tmp_path / "clean" / str(DROP)
    with open_engine(PARAMS) as engine:
        payments, users = (engine.read(clean / f"{name}.parquet") for name in ("payments_clean", "user_base"))
        leaking = {"payments_sum": Feature(payments.SPENT.sum(), "")}
        monkeypatch.setattr(definitions, "refund_features", lambda known: leaking)
        with pytest.raises(UserError, match="Feature payments_sum reads rows that were not known at the as-of date"):
            definitions.compute_features(payments, users, DROP, HOLDOUT, 30, payments)
