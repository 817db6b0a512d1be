"""The columns of a table of features: what tells the rows apart, what groups them, the features, and the label."""

from collections.abc import Iterable

KEYS = ("user_id", "as_of_date")
# Known of a user, and no feature: the model is reported for each, and drift is watched in them.
CATEGORIES = ("card_type",)
LABEL = "label"


def feature_names(columns: Iterable[str]) -> list[str]:
    """Return those of a table's columns that are features, float64 and null where unknown, in their order."""
    return [name for name in columns if name not in (*KEYS, *CATEGORIES, LABEL)]
