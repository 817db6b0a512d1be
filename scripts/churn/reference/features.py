"""docs/reference/features.md: every feature, from its definition."""

from collections.abc import Iterator

import ibis.expr.operations as ops

from churn.base.markdown import write_table
from churn.features.meanings import describe_categories, describe_payments, describe_users

HEADER = """# Features

`make docs` generates this page from
[`scripts/churn/features/definitions.py`](../../scripts/churn/features/definitions.py), where each feature is one
expression with its meaning. [To add a feature](../guides/extending.md#a-feature), add an entry there. The model uses
every feature that is not listed in `train_model.leave_out` and that differs between users; those in
`train_model.log_features` are transformed to sign(x) · log(1 + |x|).

Every feature is a number as of a date, empty if unknown. It is computed from the payments up to that date within
`build_features.lookback_days`, and from the user files of the newest drop dated that day or earlier.

"""


def write_features() -> str:
    """Return the page."""
    return HEADER + write_table(("feature", "what it measures, and why", "computed from"), describe_features()) + "\n"


def describe_features() -> Iterator[tuple[str, ...]]:
    """Yield the cells of each feature's row."""
    for name, feature in (describe_payments() | describe_users() | describe_categories()).items():
        fields = {field.name for field in feature.value.op().find(ops.Field)}
        columns = sorted("FECHA" if field == "days_ago" else field for field in fields)
        yield f"`{name}`", feature.meaning, ", ".join(f"`{column}`" for column in columns)
