"""List the features and their meanings without reading data: for the documentation and the dashboard's labels."""

import ibis
import ibis.expr.datatypes as dt
from ibis.backends.sql.datatypes import DuckDBType

from churn.data.contract import FILES, FIRST_DAY, TYPES, USER_FILES
from churn.features.definitions import Feature, payment_features, user_categories, user_features


def describe_payments() -> dict[str, Feature]:
    """Return the features that are computed from payments, by name."""
    return payment_features(ibis.table({"days_ago": "int64", **_column_types("PAYMENTS.csv")}))


def describe_users() -> dict[str, Feature]:
    """Return the features that are computed from the user files, by name."""
    return user_features(_users(), FIRST_DAY)


def describe_categories() -> dict[str, Feature]:
    """Return the categories of users, by name."""
    return user_categories(_users())


def _users() -> ibis.Table:
    return ibis.table(_column_types(*USER_FILES))


def _column_types(*names: str) -> dict[str, dt.DataType]:
    """Return the columns of CSVs with their types."""
    return {
        column: DuckDBType.from_string(TYPES[spec.type].sql) for name in names for column, spec in FILES[name].items()
    }
