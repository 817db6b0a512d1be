"""The features: each a named Ibis expression with its meaning, computed as of a date from what was known then.

Every feature is a float64, null where it is unknown. Days are counted up to and including the as-of date; a
window that a name does not state is the lookback. A feature that is added here is in the tables, the model, the
drift report, docs/features.md (`make docs`) and the check of params.yaml from then on.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from churn.base.command import UserError
from churn.data.contract import USER
from churn.features.table import KEYS

DEMOGRAPHICS = ("AGE", "GENDER", "CARD_TYPE", "CITY")


def known_payments(payments: ir.Table, as_of: date, lookback_days: int) -> ir.Table:
    """Return the payments of the lookback, with `days_ago`; none is later than the as-of date."""
    first = as_of - timedelta(days=lookback_days - 1)
    known = payments.filter(payments.FECHA.between(first, as_of))
    return known.mutate(days_ago=_days_before(known.FECHA, as_of))


@dataclass(frozen=True)
class Feature:
    """An expression, and what it tells."""

    value: ir.Value
    meaning: str


def payment_features(known: ir.Table) -> dict[str, Feature]:
    """Aggregates over the payments of one user, from `known_payments`."""
    return {
        "days_since_last_payment": Feature(
            known.days_ago.min(), "A buyer who is silent for long has often left: the strongest sign in any history."
        ),
        "days_since_first_payment": Feature(
            known.days_ago.max(), "A user who came lately has had less time to settle in. Within the lookback."
        ),
        "payments_last_30d": Feature((known.days_ago < 30).sum(), "Against the lookback's: a habit that fades."),
        "payments_last_60d": Feature((known.days_ago < 60).sum(), "The same over a longer time."),
        "active_days": Feature(
            known.FECHA.nunique(), "Days with a payment: three payments on one day are one visit, not three."
        ),
        # Of decimals, so that no order of adding changes the last digit.
        "payments_sum": Feature(known.SPENT.sum(), "Money at stake."),
        "avg_discount": Feature(
            known.DESCUENTO.sum().cast("float64") / known.DESCUENTO.count(),
            "A user held by discounts leaves with them. Mean over the payments whose discount is known.",
        ),
        "distinct_sellers": Feature(
            known.CUS_CUST_ID_SEL.nunique(), "Breadth of use: many sellers make a wallet hard to leave."
        ),
        "distinct_segments": Feature(known.TPV_SEGMENT_DETAIL.nunique(), "The same for kinds of payment."),
    }


def user_features(users: ir.Table, as_of: date) -> dict[str, Feature]:
    """Facts about one user, from a drop dated at or before the as-of date."""
    return {
        "mau_mp_1": Feature(users.MAU_MP_1, "Accesses of the wallet app, last month: they fall before payments do."),
        "mau_ml_1": Feature(users.MAU_ML_1, "Accesses of the marketplace app, last month."),
        "mau_ml_2": Feature(users.MAU_ML_2, "Accesses of the marketplace app, the month before."),
        "saldo_mes_actual": Feature(users.PLATA_CUENTA_1, "Highest balance in the wallet, last month."),
        "saldo_mes_previo": Feature(users.PLATA_CUENTA_2, "Highest balance in the wallet, the month before."),
        "balance_change": Feature(users.PLATA_CUENTA_1 - users.PLATA_CUENTA_2, "A balance that is being emptied."),
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
    """What groups a user, as text: named in `churn.features.table.CATEGORIES`, and not given to the model."""
    return {
        "card_type": Feature(
            users.CARD_TYPE, "The model is measured for each kind of card, and drift watches for a new one."
        ),
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
        user_id, as_of_date, the categories and the features; one row a user, in no order.

    Raises
    ------
    UserError
        When a feature reads other rows than those known at `as_of`.
    """
    known = known_payments(payments, as_of, lookback_days)
    known_users = users if users_drop <= as_of else forget_facts(users)
    aggregates, facts = payment_features(known), user_features(known_users, as_of)
    categories = user_categories(known_users)
    refuse_other_rows(aggregates, known)
    refuse_other_rows(facts | categories, known_users)
    paid = known.group_by(USER).aggregate(**_as_floats(aggregates))
    texts = {name: category.value for name, category in categories.items()}
    joined = paid.left_join(known_users.select(USER, **texts, **_as_floats(facts)), USER)
    keyed = joined.rename(user_id=USER).mutate(as_of_date=ibis.literal(as_of))
    return keyed.select(*KEYS, *categories, *aggregates, *facts)


def refuse_other_rows(features: dict[str, Feature], known: ir.Table) -> None:
    """Raise `UserError` when a feature reaches a table's rows by another way than through those that were known."""
    for name, feature in features.items():
        if feature.value.op().find(ops.PhysicalTable, filter=lambda node: node is not known.op()):
            raise UserError(
                f"Feature {name} reads rows that were not known at the as-of date: the label would leak into it. "
                "Compute it from the table that scripts/churn/features/definitions.py hands to it, and from no other."
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


def _as_floats(features: dict[str, Feature]) -> dict[str, ir.Value]:
    return {name: feature.value.cast("float64") for name, feature in features.items()}
