"""docs/reference/features.md: every feature, from its definition."""

from collections.abc import Iterator

import ibis.expr.operations as ops

from churn.features.meanings import describe_categories, describe_payments, describe_users

HEADER = """# The features

`make docs` writes this page from
[`scripts/churn/features/definitions.py`](../../scripts/churn/features/definitions.py), where a feature is one
expression and its meaning; nothing else is to be done to add one. The model uses all that are not named in
`train_model.leave_out` and that differ between users; those in `train_model.log_features` are taken as
sign(x) · log(1 + |x|).

Every feature is a number, empty where it is unknown, as of a date: from payments up to that date within
`build_features.lookback_days`, and from what the newest delivery not after it said about the user.

| feature | what it tells | computed from |
|---|---|---|
"""


def write_features() -> str:
    """Return the page."""
    return HEADER + "".join(describe_features())


def describe_features() -> Iterator[str]:
    """Yield a row of the table for each feature."""
    for name, feature in (describe_payments() | describe_users() | describe_categories()).items():
        fields = {field.name for field in feature.value.op().find(ops.Field)}
        columns = sorted("FECHA" if field == "days_ago" else field for field in fields)
        yield f"| `{name}` | {feature.meaning} | {', '.join(f'`{column}`' for column in columns)} |\n"
