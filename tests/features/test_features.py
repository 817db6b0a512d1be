from datetime import date, timedelta
from decimal import Decimal

import ibis
import numpy as np
import pyarrow as pa
import pytest

from churn.base.command import UserError
from churn.features import definitions as feature_module
from churn.features import meanings as feature_meanings
from churn.features.definitions import Feature, compute_features, compute_labels
from churn.training.rows import choose_features
from tools import docs

AS_OF = date(2024, 6, 15)
PAYMENTS = {
    "FECHA": "date",
    "CUS_CUST_ID_SEL": "string",
    "CUS_CUST_ID_BUY": "int64",
    "SPENT": "decimal(18, 2)",
    "TPV_SEGMENT_DETAIL": "string",
    "DESCUENTO": "decimal(9, 6)",
}
USERS = {
    "CUS_CUST_ID_BUY": "int64",
    "MAU_MP_1": "int32",
    "MAU_ML_1": "int32",
    "MAU_ML_2": "int32",
    "AGE": "int32",
    "GENDER": "string",
    "CARD_TYPE": "string",
    "CITY": "string",
    "PLATA_CUENTA_1": "decimal(18, 2)",
    "PLATA_CUENTA_2": "decimal(18, 2)",
    "INVERSION": "string",
    "SPENT_ML": "decimal(18, 2)",
    "RECENCY_ML": "date",
    "FREQUENCY_ML": "int32",
}
USER = {
    "CUS_CUST_ID_BUY": 1,
    "MAU_MP_1": 8,
    "MAU_ML_1": 5,
    "MAU_ML_2": 4,
    "AGE": 34,
    "GENDER": "F",
    "CARD_TYPE": "BLACK",
    "CITY": "Rosario",
    "PLATA_CUENTA_1": Decimal("800"),
    "PLATA_CUENTA_2": Decimal("700.5"),
    "INVERSION": "Eligible",
    "SPENT_ML": Decimal("430"),
    "RECENCY_ML": date(2024, 5, 28),
    "FREQUENCY_ML": 6,
}


def payment(days_ago, user=1, spent="10.00", seller="S1", segment="Instore", discount=None):
    day = AS_OF - timedelta(days=days_ago)
    return day, seller, user, Decimal(spent), segment, None if discount is None else Decimal(discount)


def table(schema, rows):
    rows = [row if isinstance(row, dict) else dict(zip(schema, row, strict=True)) for row in rows]
    return ibis.memtable(pa.Table.from_pylist(rows, ibis.schema(schema).to_pyarrow()))


@pytest.fixture
def features():
    """Compute the features of payments and users; return them by user."""

    def compute(payments, users=(USER,), lookback_days=90, **types):
        tables = table(PAYMENTS | types, payments), table(USERS | types, users)
        expression = compute_features(*tables, AS_OF, AS_OF, lookback_days)
        rows = ibis.duckdb.connect().to_pyarrow(expression).to_pylist()
        return {row["user_id"]: row for row in rows}

    return compute


def test_every_feature_of_one_user_equals_a_calculation_by_hand(features):
    payments = [
        payment(0, spent="0.10", discount="0.10"),
        payment(0, spent="0.20", seller="S2"),
        payment(29, spent="30.00", segment="TopUps", discount="0.20"),
        payment(30, spent="1.00"),
        payment(59, spent="1.00"),
        payment(60, spent="1.00"),
        payment(89, spent="1.00"),
        payment(90, spent="1000.00", seller="S9"),
    ]
    assert features(payments)[1] == {
        "user_id": 1,
        "as_of_date": AS_OF,
        "days_since_last_payment": 0,
        "days_since_first_payment": 89,
        "payments_last_30d": 3,
        "payments_last_60d": 5,
        "active_days": 6,
        "payments_sum": 34.30,
        "avg_discount": 0.15,
        "distinct_sellers": 2,
        "distinct_segments": 2,
        "mau_mp_1": 8,
        "mau_ml_1": 5,
        "mau_ml_2": 4,
        "saldo_mes_actual": 800,
        "saldo_mes_previo": 700.5,
        "balance_change": 99.5,
        "has_investment": 1,
        "spent_ml": 430,
        "frequency_ml": 6,
        "recency_ml_days": 18,
        "gender_is_female": 1,
        "age": 34,
        "card_type": "BLACK",
    }


@pytest.mark.parametrize(
    ("discounts", "mean"),
    [
        (["0.10"] * 3, 0.1),
        (["0.1", "0.1", "0.2"], 0.133333),
        (["0.000001", "0.000002"], 0.000002),  # half a millionth is rounded up
        (["1", None, "0.000001"], 0.500001),
        ([None], None),
    ],
)
def test_the_mean_discount_has_six_digits(features, discounts, mean):
    assert features([payment(0, discount=discount) for discount in discounts])[1]["avg_discount"] == mean


def test_the_population_is_users_with_a_payment_in_the_lookback(features):
    found = features([payment(0, user=1), payment(90, user=2), payment(89, user=3)])
    assert set(found) == {1, 3}
    assert found[3]["age"] is None and found[3]["has_investment"] is None, "unknown is null, never 0"


def test_users_with_text_ids_have_the_features_of_the_same_users_with_numbers(features):
    names = {1: "7", 2: "007", 3: "AR-00123"}
    paid = [(0, 1, "0.10"), (3, 2, "5.00"), (40, 2, "6.00"), (95, 3, "1.00")]
    numbers = features([payment(day, user, spent) for day, user, spent in paid])
    texts = features(
        [payment(day, names[user], spent) for day, user, spent in paid],
        [USER | {"CUS_CUST_ID_BUY": names[1]}],
        CUS_CUST_ID_BUY="string",
    )
    assert texts == {names[user]: row | {"user_id": names[user]} for user, row in numbers.items()}
    assert texts["7"]["age"] == 34 and texts["007"]["age"] is None


def test_payments_after_the_as_of_date_do_not_change_features(features):
    known = [payment(0), payment(40, user=2)]
    later = [payment(-1, spent="999.00"), payment(-30, user=2), payment(-5, user=3)]
    assert features(known) == features(known + later)


def test_unknown_facts_stay_unknown(features):
    users = [USER | {"INVERSION": None, "GENDER": None, "PLATA_CUENTA_2": None, "RECENCY_ML": None}]
    row = features([payment(0)], users)[1]
    for name in (
        "has_investment",
        "gender_is_female",
        "saldo_mes_previo",
        "balance_change",
        "recency_ml_days",
        "avg_discount",
    ):
        assert row[name] is None


def test_only_demographics_are_used_from_a_drop_after_the_as_of_date():
    later = AS_OF + timedelta(days=1)
    expression = compute_features(table(PAYMENTS, [payment(0)]), table(USERS, [USER]), later, AS_OF, 90)
    row = ibis.duckdb.connect().to_pyarrow(expression).to_pylist()[0]
    facts = feature_module.user_features(table(USERS, [USER]), AS_OF)
    assert {name for name in facts if row[name] is not None} == {"age", "gender_is_female"}


@pytest.mark.parametrize("kind", ["payment_features", "user_features"])
def test_a_feature_that_leaks_the_label_is_refused(monkeypatch, kind):
    payments, users = table(PAYMENTS, [payment(0), payment(-1)]), table(USERS, [USER])
    honest = getattr(feature_module, kind)

    def with_a_leak(known, *others):
        paid_after = payments.filter(payments.FECHA > AS_OF).CUS_CUST_ID_BUY
        leak = known.CUS_CUST_ID_BUY.isin(paid_after)
        return honest(known, *others) | {
            "innocent_name": Feature(leak.any() if kind == "payment_features" else leak, "")
        }

    monkeypatch.setattr(feature_module, kind, with_a_leak)
    with pytest.raises(UserError, match="Feature innocent_name reads rows that were not known at the as-of date"):
        compute_features(payments, users, AS_OF, AS_OF, 90)


def test_the_label_uses_payments_from_the_next_day_to_the_last_day_of_the_horizon():
    payments = [payment(0, user=1), payment(-1, user=2), payment(-30, user=3), payment(-31, user=4)]
    users = ibis.memtable([{"user_id": user} for user in (1, 2, 3, 4)])
    labelled = compute_labels([table(PAYMENTS, payments)], users, AS_OF, 30)
    rows = ibis.duckdb.connect().to_pyarrow(labelled).to_pylist()
    assert {row["user_id"]: row["label"] for row in rows} == {1: 1, 2: 0, 3: 0, 4: 1}


def test_a_new_feature_appears_everywhere_without_further_changes(monkeypatch, tmp_path):
    honest = feature_module.payment_features

    def with_one_more(known):
        return honest(known) | {"largest_payment": Feature(known.SPENT.max(), "One large buyer in the making.")}

    monkeypatch.setattr(feature_module, "payment_features", with_one_more)
    monkeypatch.setattr(feature_meanings, "payment_features", with_one_more)
    rows = compute_features(table(PAYMENTS, [payment(0, spent="7.50")]), table(USERS, [USER]), AS_OF, AS_OF, 90)
    assert ibis.duckdb.connect().to_pyarrow(rows)["largest_payment"].to_pylist() == [7.5]
    docs.write_docs(tmp_path)
    assert "| `largest_payment` | One large buyer in the making. | `SPENT` |" in (tmp_path / "features.md").read_text()
    spent = pa.table({"age": [20.0, 30.0, 40.0, 50.0], "largest_payment": [7.5, 9.5, 1.5, 3.5]})
    fold = np.array([0, 0, 1, 1])
    used, _ = choose_features(spent, fold, {"leave_out": [], "log_features": ["largest_payment"]})
    assert used == ["age", "largest_payment"]
    with pytest.raises(UserError, match=r"leave_out .*'large_payment' is not a feature .*Did you mean largest_payment"):
        choose_features(spent, fold, {"leave_out": ["large_payment"], "log_features": []})
