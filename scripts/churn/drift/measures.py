"""Compare a drop's features with those of earlier drops: distances, missing values, new categories."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.drift.distances import METHODS
from churn.features.categories import MAX_CATEGORIES, OTHER, merge_rare, name_categories

# Name of the column with the candidate's score of each user.
PREDICTION = "churn_probability"
# Sums of floats differ in the last digits. A histogram cannot divide a range as small as that into bins.
DIGITS = 12
NO_VALUE = {
    (True, True): "no value in any of these drops",
    (True, False): "no value in the newest drop",
    (False, True): "no value in earlier drops",
}
CONSTANT = "the same value in all of these drops"


def compare_drops(current: pa.Table, reference: pa.Table, methods: dict[str, str]) -> dict[str, Any]:
    """Compare a drop with the rows of earlier drops.

    Parameters
    ----------
    current, reference : pyarrow.Table
        Features; the same columns, null where unknown.
    methods : dict
        numerical_method and categorical_method, of `churn.drift.distances.METHODS`.

    Returns
    -------
    dict
        rows and reference_rows; `columns`, a record for each feature. A record has: column, kind, missing_share and
        missing_share_before (0 to 1), new_categories (share by name); and method and statistic (a distance, 0 for no
        change), or `left_out`, the reason why it is not measured. `reason`, why nothing can be measured, if so.
    """
    found: dict[str, Any] = {"rows": len(current), "reference_rows": len(reference), "columns": []}
    if not len(reference):
        return found | {"reason": "there is no earlier drop with users to compare with"}
    found["columns"] = [compare_column(name, current[name], reference[name], methods) for name in current.column_names]
    if not any("statistic" in record for record in found["columns"]):
        return found | {
            "reason": "no column has a value both in the newest drop and before it, apart from constant columns"
        }
    return found


def compare_column(
    name: str, current: pa.ChunkedArray, reference: pa.ChunkedArray, methods: dict[str, str]
) -> dict[str, Any]:
    """Return the record of one column."""
    is_text = pa.types.is_string(current.type)
    new = find_new_categories(name_categories(current), name_categories(reference)) if is_text else {}
    current, reference = make_comparable(current, reference)
    kind = "categorical" if _is_category(current) and _is_category(reference) else "numerical"
    missing, before = (_missing_share(values) for values in (current, reference))
    record = {
        "column": name,
        "kind": kind,
        "missing_share": missing,
        "missing_share_before": before,
        "new_categories": new,
    }
    if reason := NO_VALUE.get((missing == 1, before == 1)):
        return record | {"left_out": reason}
    if len(pc.unique(pa.chunked_array([*current.chunks, *reference.chunks]).drop_null())) == 1:
        return record | {"left_out": CONSTANT}
    method = methods[f"{kind}_method"]
    values = (column.drop_null().to_numpy() for column in (current, reference))
    return record | {"method": method, "statistic": METHODS[method](*values)}


def find_new_categories(current: pa.ChunkedArray, reference: pa.ChunkedArray) -> dict[str, float]:
    """Return the share of rows of each value that did not occur before, of at most MAX_CATEGORIES values.

    If there are more, the rarest count together, as OTHER.
    """
    known = set(pc.unique(reference).to_pylist())
    counted = pc.value_counts(current.drop_null()).to_pylist()
    counts = {entry["values"]: entry["counts"] for entry in counted if entry["values"] not in known}
    frequent = sorted(counts, key=lambda name: (-counts[name], name))[:MAX_CATEGORIES]
    shares = {name: counts[name] / len(current) for name in sorted(frequent)}
    if left := len(counts) - len(frequent):
        shares[f"{OTHER} ({left:,} categories)"] = (sum(counts.values()) / len(current)) - sum(shares.values())
    return shares


def make_comparable(current: pa.ChunkedArray, reference: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return two columns of the same name in which distances can be measured.

    Rare categories are merged, and numbers rounded to DIGITS significant digits; infinite ones become null.
    """
    if pa.types.is_string(current.type) and pa.types.is_string(reference.type):
        now, before = merge_rare(name_categories(current), name_categories(reference))
        return now, before
    return _round(current), _round(reference)


def _round(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_floating(column.type):
        return column
    values = column.to_numpy()
    known = np.isfinite(values)
    values = np.where(known, values, 0)
    # Below 1e-200 the scale would be infinite.
    digits = np.floor(np.log10(np.maximum(np.abs(values), 1e-200)))
    scale = 10.0 ** (DIGITS - 1 - digits)
    return pa.chunked_array([pa.array(np.round(values * scale) / scale, mask=~known)])


def _missing_share(values: pa.ChunkedArray) -> float:
    return float(values.null_count / len(values)) if len(values) else 1.0


def _is_category(values: pa.ChunkedArray) -> bool:
    # Text, or only 0 and 1.
    if pa.types.is_string(values.type):
        return True
    return bool(pc.all(pc.is_in(values.drop_null(), pa.array([0.0, 1.0]))).as_py())
