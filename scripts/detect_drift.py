"""Compare the newest drop's features with those of the drops before it.

Reads
    data/drops.yaml, data/features/<drop>/churn_features.parquet
Writes
    detect_drift.json: current_drop, reference_drops (dates); current_rows, reference_rows; columns: for each its kind,
    method, statistic (a distance: 0 when nothing changed), threshold and whether it drifted; columns_left_out, with
    the reason; drifted_columns, drift_share (0 to 1), drift_share_threshold, drift_detected. Where drift cannot be
    measured these four are absent, and `reason` says why
    <newest drop>.html, alone in the report's folder: the same in words above Evidently's report; it opens offline
"""

import argparse
import warnings
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churn.command import UserError, run_command
from churn.drift_report import build_page, summarise
from churn.drops import read_drops
from churn.feature_table import KEYS
from churn.files import write_json, write_whole
from churn.params import read_section


def detect_drift(features: Path, drops: Path, metrics: Path, report: Path, params: dict) -> None:
    """Measure the drift of the newest drop and write the metrics and the report.

    Parameters
    ----------
    features : Path
        Folder of every drop's features.
    drops : Path
        The list of drops; folders of drops that it does not name are ignored.
    metrics : Path
        JSON file to write.
    report : Path
        Folder to write; it will hold one HTML page, named by the newest drop.
    params : dict
        Section detect_drift of params.yaml.

    Raises
    ------
    UserError
        When a drop's features are missing, damaged, or have other columns than the newest drop's.
    """
    *earlier, newest = read_drops(drops)
    earlier = earlier[-params["reference_drops"] :]
    current = read_features(features, newest)
    reference = pa.concat_tables(
        [current.slice(0, 0)] + [read_features(features, drop, current.schema) for drop in earlier]
    )
    content, evidently_page = compare_drops(current, reference, params)
    content |= {"current_drop": newest.isoformat(), "reference_drops": [drop.isoformat() for drop in earlier]}
    with write_whole(report) as folder:
        folder.mkdir()
        (folder / f"{newest}.html").write_text(build_page(content, evidently_page), encoding="utf-8")
    write_json(content, metrics)
    print("\n".join(summarise(content)))


def read_features(features: Path, drop: date, schema: pa.Schema | None = None) -> pa.Table:
    """Return the feature columns of a drop, which must be those of `schema` where one is given."""
    path = features / drop.isoformat() / "churn_features.parquet"
    again = f"Make it again: dvc repro build_features@{drop}"
    try:
        table = pq.read_table(path).drop_columns(list(KEYS))
    except FileNotFoundError:
        raise UserError(f"{path} is missing. {again}") from None
    except (pa.ArrowInvalid, KeyError) as error:
        raise UserError(f"{path} cannot be read: {error}. {again}") from None
    if schema is not None and not table.schema.equals(schema):
        differing = sorted(set(table.schema) ^ set(schema), key=str)
        raise UserError(f"{path} has other columns than the newest drop: {', '.join(map(str, differing))}. {again}")
    return table


def compare_drops(current: pa.Table, reference: pa.Table, params: dict) -> tuple[dict, str | None]:
    """Return the metrics, and Evidently's page when there was something to compare."""
    rows = {"current_rows": len(current), "reference_rows": len(reference)}
    if not len(reference):
        reason = "there is no earlier drop with users to compare with. It is measured from the second drop on."
        return rows | {"columns": {}, "columns_left_out": {}, "reason": reason}, None
    left_out = find_empty_columns(current, reference)
    kept = [name for name in current.column_names if name not in left_out]
    content = rows | {"columns": {}, "columns_left_out": left_out}
    if not kept:
        return content | {"reason": "no column has a value both in the newest drop and before it."}, None
    current, reference = current.select(kept), reference.select(kept)
    methods = choose_methods(current, reference, params)
    statistics, page = run_evidently(current, reference, methods, params["drift_share"])
    return content | judge_columns(methods, statistics, params["drift_share"]), page


def judge_columns(methods: dict[str, dict], statistics: dict[str, float], drift_share: float) -> dict:
    """Return which columns drifted, and whether they are enough; every method is a distance: more is more drift."""
    columns = {
        name: method | {"statistic": statistics[name], "drifted": statistics[name] >= method["threshold"]}
        for name, method in methods.items()
    }
    drifted = [name for name, column in columns.items() if column["drifted"]]
    share = len(drifted) / len(columns)
    return {
        "columns": columns,
        "drifted_columns": drifted,
        "drift_share": share,
        "drift_detected": share >= drift_share,
        "drift_share_threshold": drift_share,
    }


def find_empty_columns(current: pa.Table, reference: pa.Table) -> dict[str, str]:
    """Return the columns without a value on one side or both, each with the reason."""
    reasons = {
        (True, True): "no value in any of these drops",
        (True, False): "no value in the newest drop",
        (False, True): "no value in the drops before it",
    }
    empty = {
        name: tuple(table[name].null_count == len(table) for table in (current, reference))
        for name in current.column_names
    }
    return {name: reasons[where] for name, where in empty.items() if any(where)}


def choose_methods(current: pa.Table, reference: pa.Table, params: dict) -> dict[str, dict]:
    """Return method and threshold of every column; text, or nothing but 0 and 1, is categorical."""
    both = pa.concat_tables([current, reference])
    kinds = {name: "categorical" if _is_category(both[name]) else "numerical" for name in both.column_names}
    return {
        name: {"method": params[f"{kind}_method"], "threshold": params[f"{kind}_threshold"], "kind": kind}
        for name, kind in kinds.items()
    }


def run_evidently(
    current: pa.Table, reference: pa.Table, methods: dict[str, dict], drift_share: float
) -> tuple[dict[str, float], str]:
    """Return every column's statistic, and Evidently's page; each column must have a value on both sides."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset
    from threadpoolctl import threadpool_limits

    kinds = {
        f"{kind}_columns": [name for name, method in methods.items() if method["kind"] == kind]
        for kind in ("numerical", "categorical")
    }
    preset = DataDriftPreset(
        columns=list(methods),
        per_column_method={name: method["method"] for name, method in methods.items()},
        per_column_threshold={name: method["threshold"] for name, method in methods.items()},
        drift_share=drift_share,
    )
    datasets = [Dataset.from_pandas(table.to_pandas(), DataDefinition(**kinds)) for table in (current, reference)]
    # One thread, so that sums have the same last digits however many cores there are; nor would more be faster.
    with threadpool_limits(1), warnings.catch_warnings():
        # Evidently correlates the columns, and NumPy warns of those that are constant; the report shows no correlation.
        warnings.simplefilter("ignore", RuntimeWarning)
        snapshot = Report([preset]).run(*datasets)
    measured = [metric for metric in snapshot.dict()["metrics"] if "column" in metric["config"]]
    statistics = {metric["config"]["column"]: float(metric["value"]) for metric in measured}
    return statistics, snapshot.get_html_str(as_iframe=False)


def _is_category(column: pa.ChunkedArray) -> bool:
    return column.type == pa.string() or pc.all(pc.is_in(column.drop_null(), pa.array([0.0, 1.0]))).as_py()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, required=True, help="folder of every drop's features")
    parser.add_argument("--drops", type=Path, required=True, help="the list of drops, data/drops.yaml")
    parser.add_argument("--metrics", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--report", type=Path, required=True, help="folder to write; it will hold one HTML page")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params = read_section(args.params, "detect_drift")
    detect_drift(args.features, args.drops, args.metrics, args.report, params)


if __name__ == "__main__":
    run_command(main)
