"""Names of categories are short and harmless, and rare categories are merged."""

import pyarrow as pa
import pytest
from odd_values import EVIL, LONG, SHOWN, many

from churn.features.categories import MAX_CATEGORIES, OTHER, merge_rare, name_categories
from churn.features.table import LONGEST_CATEGORY


def column(values) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("GOLD", "GOLD"),
        ("Crédito (visa) & más", "Crédito (visa) & más"),
        (EVIL, SHOWN),
        (LONG, LONG[:LONGEST_CATEGORY]),
        (" a\t\u2028b\u200e\x00 ", "a b"),
        ("a < b<", "a < b<"),
        (" \n", None),
        (None, None),
    ],
)
def test_a_name_is_short_and_on_one_line(value, name):
    assert name_categories(column([value, "BLACK"])).to_pylist() == [name, "BLACK"]


def test_few_categories_are_kept_as_they_are():
    values = column([f"type {number}" for number in range(MAX_CATEGORIES)] + [None])
    assert merge_rare(values)[0] is values


def test_the_most_frequent_categories_of_each_column_are_kept():
    now, before = column([*many(1000, 300), "new", "new", "new"]), column(["old"] * 5 + ["new", None])
    merged, other = (one.to_pylist() for one in merge_rare(now, before))
    assert len(set(merged)) == MAX_CATEGORIES + 1 and {"GOLD", "new", OTHER} <= set(merged)
    assert merged.count("GOLD") == 500
    assert other == before.to_pylist(), "what is frequent in one column is kept in all"


def test_of_equally_frequent_categories_the_first_names_are_kept():
    names = [f"type {number:03}" for number in range(MAX_CATEGORIES + 5)]
    (merged,) = merge_rare(column(names[::-1]))
    assert sorted(set(merged.to_pylist()) - {OTHER}) == names[:MAX_CATEGORIES]
