"""List the features and their meanings without reading data: for documentation, labels, and models that use them."""

import hashlib
from datetime import timedelta

import ibis
import ibis.expr.datatypes as dt
from ibis.backends.sql.datatypes import DuckDBType

from churn.data.contract import FILES, FIRST_DAY, TYPES, USER, USER_FILES
from churn.features.definitions import (
    Feature,
    compute_labels,
    known_payments,
    payment_features,
    refund_features,
    user_categories,
    user_features,
)

# The windows are compared by themselves; an expression is compiled with these.
LOOKBACK, HORIZON = 90, 30
DIGITS = 12


def describe_payments() -> dict[str, Feature]:
    """Return the features that are computed from payments, by name."""
    return payment_features(ibis.table({"days_ago": "int64", **_column_types("PAYMENTS.csv")}))


def describe_users() -> dict[str, Feature]:
    """Return the features that are computed from the user files, by name."""
    return user_features(_users(), FIRST_DAY)


def describe_categories() -> dict[str, Feature]:
    """Return the categories of users, by name."""
    return user_categories(_users())


def digest_features() -> dict[str, str]:
    """Return a digest of each feature's compiled expression, by name: if it differs, the feature means something else.

    An expression is compiled to DuckDB's SQL, whatever the engine, with the same as-of date and lookback.
    """
    payments, users = _payments(), _users()
    known = known_payments(payments, FIRST_DAY, LOOKBACK)
    paid = {name: known.group_by(USER).aggregate(value=one.value) for name, one in payment_features(known).items()}
    refunded = {name: known.group_by(USER).aggregate(value=one.value) for name, one in refund_features(known).items()}
    facts = {name: users.select(USER, value=one.value) for name, one in user_features(users, FIRST_DAY).items()}
    return {name: _digest(*tables) for name, tables in _merge(paid, facts, refunded).items()}


def digest_label() -> str:
    """Return a digest of the label's compiled expression."""
    payments = _payments()
    users = ibis.table({"user_id": payments[USER].type()}, name="population")
    return _digest(compute_labels([payments], users, FIRST_DAY + timedelta(days=LOOKBACK), HORIZON))


def _merge(*tables: dict[str, ibis.Table]) -> dict[str, list[ibis.Table]]:
    """Return all tables of each name."""
    names = dict.fromkeys(name for one in tables for name in one)
    return {name: [one[name] for one in tables if name in one] for name in names}


def _digest(*expressions: ibis.Table) -> str:
    compiled = "\n".join(ibis.to_sql(expression, dialect="duckdb") for expression in expressions)
    return hashlib.sha256(compiled.encode()).hexdigest()[:DIGITS]


# With names: Ibis numbers tables without one, and the number would be part of the compiled expression.
def _payments() -> ibis.Table:
    return ibis.table(_column_types("PAYMENTS.csv"), name="payments")


def _users() -> ibis.Table:
    return ibis.table(_column_types(*USER_FILES), name="users")


def _column_types(*names: str) -> dict[str, dt.DataType]:
    """Return the columns of CSVs with their types."""
    return {
        column: DuckDBType.from_string(TYPES[spec.type].sql) for name in names for column, spec in FILES[name].items()
    }
