"""The features: each a named Ibis expression, computed as of a date from what was known then.

Every feature is a float64, null where it is unknown. Days are counted up to and including the as-of date; a
window that a name does not state is the lookback.
"""

from datetime import date, timedelta

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from churn.command import UserError
from churn.contract import USER

DEMOGRAPHICS = ("AGE", "GENDER", "CARD_TYPE", "CITY")


def known_payments(payments: ir.Table, as_of: date, lookback_days: int) -> ir.Table:
    """Return the payments of the lookback, with `days_ago`; none is later than the as-of date."""
    first = as_of - timedelta(days=lookback_days - 1)
    known = payments.filter(payments.FECHA.between(first, as_of))
    return known.mutate(days_ago=_days_before(known.FECHA, as_of))


def payment_features(known: ir.Table) -> dict[str, ir.Value]:
    """Aggregates over the payments of one user, from `known_payments`."""
    return {
        # A buyer who is silent for long has often left: the strongest sign in any buying history.
        "days_since_last_payment": known.days_ago.min(),
        # A user who came lately has had less time to settle in. Counted within the lookback.
        "days_since_first_payment": known.days_ago.max(),
        # Payments of the last 30 and 60 days: against the lookback's they tell a habit that fades.
        "payments_last_30d": (known.days_ago < 30).sum(),
        "payments_last_60d": (known.days_ago < 60).sum(),
        # Days with a payment: three payments on one day are one visit, not three.
        "active_days": known.FECHA.nunique(),
        # Money at stake. A sum of decimals, so that no order of adding changes its last digit.
        "payments_sum": known.SPENT.sum(),
        # A user held by discounts leaves with them.
        "avg_discount": known.DESCUENTO.sum().cast("float64") / known.DESCUENTO.count(),
        # Breadth of use: many sellers and kinds of payment make a wallet hard to leave.
        "distinct_sellers": known.CUS_CUST_ID_SEL.nunique(),
        "distinct_segments": known.TPV_SEGMENT_DETAIL.nunique(),
    }


def user_features(users: ir.Table, as_of: date) -> dict[str, ir.Value]:
    """Facts about one user, from a drop dated at or before the as-of date."""
    return {
        # Accesses fall before payments do.
        "mau_mp_1": users.MAU_MP_1,
        "mau_ml_1": users.MAU_ML_1,
        "mau_ml_2": users.MAU_ML_2,
        # Money kept in the wallet, last month and the month before.
        "saldo_mes_actual": users.PLATA_CUENTA_1,
        "saldo_mes_previo": users.PLATA_CUENTA_2,
        # A balance that is being emptied.
        "balance_change": users.PLATA_CUENTA_1 - users.PLATA_CUENTA_2,
        # Invested money ties a user to the wallet.
        "has_investment": users.INVERSION.isin(["Investing", "Eligible"]),
        # Use of the marketplace, over six months.
        "spent_ml": users.SPENT_ML,
        "frequency_ml": users.FREQUENCY_ML,
        "recency_ml_days": _days_before(users.RECENCY_ML, as_of),
        # Demographics.
        "gender_is_female": users.GENDER == "F",
        "age": users.AGE,
    }


def compute_features(
    payments: ir.Table, users: ir.Table, users_drop: date, as_of: date, lookback_days: int
) -> ir.Table:
    """Compute every feature of every user with a payment in the lookback, from what was known on a day.

    Parameters
    ----------
    payments : ibis.Table
        Clean payments of a drop dated at or after `as_of`.
    users : ibis.Table
        User base of a drop, one row a user.
    users_drop : date
        The date of that drop: when it is after `as_of`, only demographics count.
    as_of : date
        The day on which the features are known.
    lookback_days : int
        Days of payments that count, `as_of` included.

    Returns
    -------
    ibis.Table
        user_id, as_of_date and the features; one row a user, in no order.

    Raises
    ------
    UserError
        When a feature reads other rows than those known at `as_of`.
    """
    known = known_payments(payments, as_of, lookback_days)
    known_users = users if users_drop <= as_of else forget_facts(users)
    aggregates, facts = payment_features(known), user_features(known_users, as_of)
    refuse_other_rows(aggregates, known)
    refuse_other_rows(facts, known_users)
    paid = known.group_by(USER).aggregate(**_as_floats(aggregates))
    facts = known_users.select(USER, **_as_floats(facts))
    joined = paid.left_join(facts, USER).drop(f"{USER}_right")
    return joined.rename(user_id=USER).select("user_id", ibis.literal(as_of).name("as_of_date"), *_names(joined))


def refuse_other_rows(features: dict[str, ir.Value], known: ir.Table) -> None:
    """Raise `UserError` when a feature reaches a table's rows by another way than through those that were known."""
    for name, feature in features.items():
        if feature.op().find(ops.PhysicalTable, filter=lambda node: node is not known.op()):
            raise UserError(
                f"Feature {name} reads rows that were not known at the as-of date: the label would leak into it. "
                "Compute it from the table that scripts/churn/features.py hands to it, and from no other."
            )


def compute_labels(payments: ir.Table, users: ir.Table, as_of: date, horizon_days: int) -> ir.Table:
    """Tell which users churned: made no payment in the `horizon_days` after the as-of date.

    Parameters
    ----------
    payments : ibis.Table
        Clean payments of a drop dated at or after the horizon's end.
    users : ibis.Table
        The population, with a column user_id.

    Returns
    -------
    ibis.Table
        `users` with `label`, int32: 1 churned, 0 not.
    """
    after = payments.filter(payments.FECHA.between(as_of + timedelta(days=1), as_of + timedelta(days=horizon_days)))
    return users.mutate(label=(~users.user_id.isin(after[USER])).cast("int32"))


def forget_facts(users: ir.Table) -> ir.Table:
    """Return the user base with demographics alone, which are taken as constant; the other facts are null."""
    # ASSUME: age, gender, card and city do not change over the months that drops cover.
    kept = (USER, *DEMOGRAPHICS)
    return users.mutate(**{column: ibis.null(users[column].type()) for column in users.columns if column not in kept})


def _days_before(day: ir.Value, as_of: date) -> ir.Value:
    return ibis.literal(as_of).delta(day, unit="day")


def _as_floats(features: dict[str, ir.Value]) -> dict[str, ir.Value]:
    return {name: feature.cast("float64") for name, feature in features.items()}


def _names(table: ir.Table) -> list[str]:
    return [column for column in table.columns if column != USER]
