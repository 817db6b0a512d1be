"""Categories to compare users by: short names on one line, and not more of them than a picture or a table can show."""

import pyarrow as pa
import pyarrow.compute as pc

from churn.features.table import LONGEST_CATEGORY

# With a row, a mask or an alarm for each of thousands of categories, memory and readers run out.
MAX_CATEGORIES = 50
OTHER = "other"
# Blanks, line breaks, and characters that control a terminal or the direction of text.
BLANKS = r"[\s\p{Z}\p{C}]+"


def name_categories(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return categories on one line of at most LONGEST_CATEGORY characters; empty ones become null.

    A blank follows every `<`: Evidently and DVC write names into the scripts of their pages as they are, where
    `</script>` would end the script.
    """
    known = pc.unique(values)
    harmless = pc.replace_substring(known, "<", "< ")
    lines = pc.utf8_trim_whitespace(pc.replace_substring_regex(harmless, BLANKS, " "))
    names = pc.utf8_slice_codeunits(lines, 0, LONGEST_CATEGORY)
    named = pc.if_else(pc.equal(names, ""), pa.scalar(None, names.type), names)
    return values if named.equals(known) else named.take(pc.index_in(values, known))


def merge_rare(*columns: pa.ChunkedArray) -> list[pa.ChunkedArray]:
    """Return columns of categories in which OTHER replaces all but the MAX_CATEGORIES most frequent ones of each.

    Parameters
    ----------
    *columns : pyarrow.ChunkedArray
        Text, as `name_categories` returns it. A category that is frequent in one column is kept in all of them.
    """
    counted = [pc.value_counts(column.drop_null()) for column in columns]
    if all(len(found) <= MAX_CATEGORIES for found in counted):
        return list(columns)
    kept = pc.unique(pa.chunked_array([find_frequent(found) for found in counted], pa.string()))
    return [pc.if_else(pc.or_(pc.is_in(column, kept), pc.is_null(column)), column, OTHER) for column in columns]


def find_frequent(counted: pa.StructArray) -> pa.Array:
    """Return the most frequent categories of `pyarrow.compute.value_counts`; of equally frequent ones the first."""
    order = [("counts", "descending"), ("values", "ascending")]
    return pa.Table.from_struct_array(counted).sort_by(order)["values"][:MAX_CATEGORIES].combine_chunks()
