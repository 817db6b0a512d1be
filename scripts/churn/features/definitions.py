"""The features: each a named Ibis expression with its meaning, computed from what was known at the as-of date.

Every feature is a float64, null if unknown. Days are counted up to and including the as-of date; if a name states no
window, the window is the lookback. Adding a feature here adds it to the tables, the model, the drift report,
docs/reference/features.md (`make docs`) and the validation of params.yaml.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from churn.base.command import UserError
from churn.data.contract import USER
from churn.features.table import KEYS, LONGEST_CATEGORY

MILLION = 1_000_000
DEMOGRAPHICS = ("AGE", "GENDER", "CARD_TYPE", "CITY")


def known_payments(payments: ir.Table, as_of: date, lookback_days: int) -> ir.Table:
    """Return the payments of the lookback, up to the as-of date, with the column `days_ago`."""
    first = as_of - timedelta(days=lookback_days - 1)
    known = payments.filter(payments.FECHA.between(first, as_of))
    return known.mutate(days_ago=_days_before(known.FECHA, as_of))


@dataclass(frozen=True)
class Feature:
    """An expression and its meaning."""

    value: ir.Value
    meaning: str


def payment_features(known: ir.Table) -> dict[str, Feature]:
    """Return aggregates of a user's payments, computed from `known_payments`."""
    return {
        "days_since_last_payment": Feature(
            known.days_ago.min(), "A buyer who has been silent for long has often left: usually the strongest signal."
        ),
        "days_since_first_payment": Feature(
            known.days_ago.max(), "A recent user has had less time to form a habit. Within the lookback."
        ),
        "payments_last_30d": Feature(
            (known.days_ago < 30).sum(), "Compared with the whole lookback, shows a habit that fades."
        ),
        "payments_last_60d": Feature((known.days_ago < 60).sum(), "The same over a longer window."),
        "active_days": Feature(
            known.FECHA.nunique(), "Days with a payment: three payments on one day are one visit, not three."
        ),
        # Sums decimals, so that the order of the rows does not change the last digit.
        "payments_sum": Feature(
            known.SPENT.sum(), "Amount of money at stake. Refunds in the lookback are subtracted, if the data has them."
        ),
        "avg_discount": Feature(
            _mean_fraction(known.DESCUENTO),
            "A user who stays for discounts leaves when they end. Mean of the known discounts, rounded to 6 digits.",
        ),
        "distinct_sellers": Feature(
            known.CUS_CUST_ID_SEL.nunique(), "Breadth of use: paying many sellers makes a wallet hard to leave."
        ),
        "distinct_segments": Feature(known.TPV_SEGMENT_DETAIL.nunique(), "Breadth of use: kinds of payment."),
    }


def refund_features(known: ir.Table) -> dict[str, Feature]:
    """Return what a user's refunds add to features of payments of the same name, from `known_payments` of refunds."""
    return {"payments_sum": Feature(known.SPENT.sum(), "Refunds have amounts below 0.")}


def user_features(users: ir.Table, as_of: date) -> dict[str, Feature]:
    """Return facts about a user, from a drop dated at or before the as-of date."""
    return {
        "mau_mp_1": Feature(users.MAU_MP_1, "Accesses of the wallet app, last month: they fall before payments do."),
        "mau_ml_1": Feature(users.MAU_ML_1, "Accesses of the marketplace app, last month."),
        "mau_ml_2": Feature(users.MAU_ML_2, "Accesses of the marketplace app, the month before."),
        "saldo_mes_actual": Feature(users.PLATA_CUENTA_1, "Highest balance in the wallet, last month."),
        "saldo_mes_previo": Feature(users.PLATA_CUENTA_2, "Highest balance in the wallet, the month before."),
        "balance_change": Feature(
            users.PLATA_CUENTA_1 - users.PLATA_CUENTA_2, "Negative when a user empties the wallet."
        ),
        "has_investment": Feature(
            users.INVERSION.isin(["Investing", "Eligible"]), "Invested money ties a user to the wallet."
        ),
        "spent_ml": Feature(users.SPENT_ML, "Spent in the marketplace over six months."),
        "frequency_ml": Feature(users.FREQUENCY_ML, "Days with purchases in the marketplace over six months."),
        "recency_ml_days": Feature(
            _days_before(users.RECENCY_ML, as_of), "Days since the last purchase in the marketplace."
        ),
        "gender_is_female": Feature(users.GENDER == "F", "Demographics: 1 female, 0 male."),
        "age": Feature(users.AGE, "Demographics: years."),
    }


def user_categories(users: ir.Table) -> dict[str, Feature]:
    """Return categories of a user, as text: see `churn.features.table.CATEGORIES`; the model does not use them."""
    return {
        "card_type": Feature(
            users.CARD_TYPE.substr(0, LONGEST_CATEGORY),
            "The model is evaluated for the most frequent card types, and drift detection reports new types. Cut to "
            f"{LONGEST_CATEGORY} characters.",
        ),
    }


def compute_features(
    payments: ir.Table,
    users: ir.Table,
    users_drop: date,
    as_of: date,
    lookback_days: int,
    refunds: ir.Table | None = None,
) -> ir.Table:
    """Compute the features of every user with a payment in the lookback, from what was known at the as-of date.

    Parameters
    ----------
    payments : ibis.Table
        Clean payments of a drop dated at or after `as_of`.
    users : ibis.Table
        User base of a drop, one row per user.
    users_drop : date
        The date of that drop: if it is after `as_of`, only demographics are used.
    as_of : date
        The as-of date: later payments are ignored.
    lookback_days : int
        Days of payments to use, including `as_of`.
    refunds : ibis.Table, optional
        The refunds of the same drop as the payments, with SPENT below 0. They only reduce `payments_sum`: a user with
        refunds but no payment in the lookback has no row.

    Returns
    -------
    ibis.Table
        user_id, as_of_date, the categories and the features; one row per user, unordered.

    Raises
    ------
    UserError
        When a feature reads rows that were not known at `as_of`.
    """
    known = known_payments(payments, as_of, lookback_days)
    known_users = users if users_drop <= as_of else forget_facts(users)
    aggregates, facts = payment_features(known), user_features(known_users, as_of)
    categories = user_categories(known_users)
    check_known_rows(aggregates, known)
    check_known_rows(facts | categories, known_users)
    if refunds is None:
        paid = known.group_by(USER).aggregate(**_as_floats(aggregates))
    else:
        paid = _subtract_refunds(known, aggregates, known_payments(refunds, as_of, lookback_days))
    texts = {name: category.value for name, category in categories.items()}
    joined = paid.left_join(known_users.select(USER, **texts, **_as_floats(facts)), USER)
    keyed = joined.rename(user_id=USER).mutate(as_of_date=ibis.literal(as_of))
    return keyed.select(*KEYS, *categories, *aggregates, *facts)


def check_known_rows(features: dict[str, Feature], known: ir.Table) -> None:
    """Raise `UserError` if a feature reads any table other than the one with the known rows."""
    for name, feature in features.items():
        if feature.value.op().find(ops.PhysicalTable, filter=lambda node: node is not known.op()):
            raise UserError(
                f"Feature {name} reads rows that were not known at the as-of date: the label would leak into it. "
                "Compute it only from the table that is passed to it in scripts/churn/features/definitions.py."
            )


def compute_labels(payments: list[ir.Table], users: ir.Table, as_of: date, horizon_days: int) -> ir.Table:
    """Label the users who churned: made no payment in the `horizon_days` after the as-of date.

    Parameters
    ----------
    payments : list of ibis.Table
        Clean payments of drops that cover these days together.
    users : ibis.Table
        The population, with a column user_id.

    Returns
    -------
    ibis.Table
        `users` with `label`, int32: 1 churned, 0 not.
    """
    first, last = as_of + timedelta(days=1), as_of + timedelta(days=horizon_days)
    paid = [table.filter(table.FECHA.between(first, last)).select(USER) for table in payments]
    payers = ibis.union(*paid) if paid[1:] else paid[0]
    return users.mutate(label=(~users.user_id.isin(payers[USER])).cast("int32"))


def forget_facts(users: ir.Table) -> ir.Table:
    """Return the user base with all facts but demographics set to null; demographics are assumed constant."""
    # ASSUME: age, gender, card and city do not change over the months that drops cover.
    kept = (USER, *DEMOGRAPHICS)
    return users.mutate(**{column: ibis.null(users[column].type()) for column in users.columns if column not in kept})


def _subtract_refunds(known: ir.Table, aggregates: dict[str, Feature], refunds: ir.Table) -> ir.Table:
    """Return the aggregates of each user's payments, as floats, with the refunds added as decimals."""
    amounts = refund_features(refunds)
    check_known_rows(amounts, refunds)
    paid = known.group_by(USER).aggregate(**{name: feature.value for name, feature in aggregates.items()})
    refunded = refunds.group_by(USER).aggregate(**{f"{name}_refunded": one.value for name, one in amounts.items()})
    joined = paid.left_join(refunded, USER)
    sums = {name: joined[name] + joined[f"{name}_refunded"].coalesce(0) for name in amounts}
    return joined.select(USER, **{name: sums.get(name, joined[name]).cast("float64") for name in aggregates})


def _mean_fraction(fractions: ir.DecimalColumn) -> ir.FloatingScalar:
    """Return the mean of fractions with 6 digits, rounded half up to 6 digits.

    In whole numbers, because a quotient of floats has other last digits on Spark than on DuckDB, and of equal
    fractions may differ from them.
    """
    millionths, known = (fractions * MILLION).cast("int64").sum(), fractions.count()
    return ((2 * millionths + known) // (2 * known)).cast("float64") / MILLION


def _days_before(day: ir.Value, as_of: date) -> ir.Value:
    return ibis.literal(as_of).delta(day, unit="day")


def _as_floats(features: dict[str, Feature]) -> dict[str, ir.Value]:
    return {name: feature.value.cast("float64") for name, feature in features.items()}
