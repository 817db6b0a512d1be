"""Compare a drop's features with those of earlier drops: distances, missing values, new categories."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from churn.drift.distances import METHODS

# Name of the column with the candidate's score of each user.
PREDICTION = "churn_probability"
NO_VALUE = {
    (True, True): "no value in any of these drops",
    (True, False): "no value in the newest drop",
    (False, True): "no value in earlier drops",
}


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
        return found | {"reason": "no column has a value both in the newest drop and before it"}
    return found


def compare_column(
    name: str, current: pa.ChunkedArray, reference: pa.ChunkedArray, methods: dict[str, str]
) -> dict[str, Any]:
    """Return the record of one column."""
    kind = "categorical" if _is_category(current) and _is_category(reference) else "numerical"
    missing, before = (_missing_share(values) for values in (current, reference))
    record = {
        "column": name,
        "kind": kind,
        "missing_share": missing,
        "missing_share_before": before,
        "new_categories": find_new_categories(current, reference) if pa.types.is_string(current.type) else {},
    }
    if reason := NO_VALUE.get((missing == 1, before == 1)):
        return record | {"left_out": reason}
    method = methods[f"{kind}_method"]
    values = (column.drop_null().to_numpy() for column in (current, reference))
    return record | {"method": method, "statistic": METHODS[method](*values)}


def find_new_categories(current: pa.ChunkedArray, reference: pa.ChunkedArray) -> dict[str, float]:
    """Return the share of rows of each value that did not occur before."""
    known = pc.unique(reference)
    counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(current.drop_null()).to_pylist()}
    new = sorted(set(counts) - set(known.to_pylist()))
    return {name: counts[name] / len(current) for name in new}


def _missing_share(values: pa.ChunkedArray) -> float:
    return float(values.null_count / len(values)) if len(values) else 1.0


def _is_category(values: pa.ChunkedArray) -> bool:
    # Text, or only 0 and 1.
    if pa.types.is_string(values.type):
        return True
    return bool(pc.all(pc.is_in(values.drop_null(), pa.array([0.0, 1.0]))).as_py())
