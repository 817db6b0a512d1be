"""Compute a drop's features in plain pandas (read_csv, merge, groupby), without checks: the benchmark's baseline.

python benchmarks/plain_pandas.py RAW DROP OUTPUT
"""

import sys
from pathlib import Path

import pandas as pd

USER = "CUS_CUST_ID_BUY"


def main(raw: Path, drop: pd.Timestamp, output: Path) -> None:
    """Write the same features as scripts/churn/features/definitions.py."""
    payments = pd.read_csv(raw / "PAYMENTS.csv", parse_dates=["FECHA"])
    users = pd.read_csv(raw / "ACTIVE_USER.csv", parse_dates=["last_login_mp_date_1"])
    for name in "DEMOGRAFICOS", "DINERO_CUENTA":
        users = users.merge(pd.read_csv(raw / f"{name}.csv"), on=USER, how="outer")
    marketplace = pd.read_csv(raw / "MARKETPLACE_DATA.csv", parse_dates=["RECENCY_ML"])
    users = users.merge(marketplace, on=USER, how="outer")
    known = payments[(payments["SPENT"] > 0) & (payments["FECHA"] > drop - pd.Timedelta(days=90))].copy()
    known["days_ago"] = (drop - known["FECHA"]).dt.days
    known["last_30"], known["last_60"] = known["days_ago"] < 30, known["days_ago"] < 60
    paid = known.groupby(USER).agg(
        days_since_last_payment=("days_ago", "min"),
        days_since_first_payment=("days_ago", "max"),
        payments_last_30d=("last_30", "sum"),
        payments_last_60d=("last_60", "sum"),
        active_days=("FECHA", "nunique"),
        payments_sum=("SPENT", "sum"),
        avg_discount=("DESCUENTO", "mean"),
        distinct_sellers=("CUS_CUST_ID_SEL", "nunique"),
        distinct_segments=("TPV_SEGMENT_DETAIL", "nunique"),
    )
    facts = pd.DataFrame(
        {
            USER: users[USER],
            "mau_mp_1": users["MAU_MP_1"],
            "mau_ml_1": users["MAU_ML_1"],
            "mau_ml_2": users["MAU_ML_2"],
            "saldo_mes_actual": users["PLATA_CUENTA_1"],
            "saldo_mes_previo": users["PLATA_CUENTA_2"],
            "balance_change": users["PLATA_CUENTA_1"] - users["PLATA_CUENTA_2"],
            "has_investment": users["INVERSION"].isin(["Investing", "Elegible"]),
            "spent_ml": users["SPENT_ML"],
            "frequency_ml": users["FREQUENCY_ML"],
            "recency_ml_days": (drop - users["RECENCY_ML"]).dt.days,
            "gender_is_female": users["GENDER"] == "F",
            "age": users["AGE"],
        }
    )
    paid.reset_index().merge(facts, on=USER, how="left").sort_values(USER).to_parquet(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), pd.Timestamp(sys.argv[2]), Path(sys.argv[3]))
