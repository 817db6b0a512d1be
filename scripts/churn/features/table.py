"""The columns of a feature table: keys, categories, features and the label."""

from collections.abc import Iterable

KEYS = ("user_id", "as_of_date")
# Not features: the model is evaluated for each category, and drift is measured in them.
CATEGORIES = ("card_type",)
# In characters. Longer ones are cut, so that one long text in every row does not fill the memory of later stages.
LONGEST_CATEGORY = 60
LABEL = "label"


def feature_names(columns: Iterable[str]) -> list[str]:
    """Return the columns that are features (float64, null if unknown), in the order of the table."""
    return [name for name in columns if name not in (*KEYS, *CATEGORIES, LABEL)]
