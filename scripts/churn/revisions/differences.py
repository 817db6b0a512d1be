"""The differences of two revisions in drops, rows, parameters, code and metrics, each as the rows of a table."""

from collections.abc import Callable, Iterable
from typing import Any

from churn.base.git import read_git
from churn.drift.verdict import describe_drift
from churn.release.flatten import flatten
from churn.revisions.revision import CODE, Revision

ABSENT = "-"
# These come first; all other measures follow in alphabetical order.
MEASURES = (
    *("roc_auc", "pr_auc", "log_loss", "brier", "ece", "cv_score", "mean_prediction", "holdout_churn_rate"),
    *("lift_at_1_percent", "lift_at_5_percent", "lift_at_10_percent", "threshold", "holdout_rows", "train_rows"),
)
DRIFT_NUMBERS = ("as_of_date", "churn_rate", "churn_rate_before", "prediction_distance", "prediction_drifted")
COUNTERS = ("clean_payments", "build_user_base")
Row = tuple[str, ...]


def compare_drops(base: Revision, head: Revision) -> list[Row]:
    """Return drop and change, of the drops that differ."""
    then, now = (
        {drop: one.read_text(f"data/raw/{drop}.dvc") for drop in one.read_yaml("data/drops.yaml").get("drops") or []}
        for one in (base, head)
    )
    rows: list[Row] = []
    for drop in sorted(then.keys() | now.keys()):
        if drop not in then:
            rows.append((drop, "added"))
        elif drop not in now:
            rows.append((drop, "removed"))
        elif then[drop] != now[drop]:
            rows.append((drop, "its files changed"))
    return rows


def compare_rows(base: Revision, head: Revision) -> list[Row]:
    """Return drop, file, rows in, kept, rejected and reasons, of the files in which any of them differs."""
    drops = {drop for one in (base, head) for drop in one.read_yaml("data/drops.yaml").get("drops") or []}
    rows: list[Row] = []
    for drop in sorted(drops):
        for stage in COUNTERS:
            then, now = (one.read_json(f"metrics/{stage}/{drop}.json") for one in (base, head))
            for file in sorted(then.keys() | now.keys()):
                one, other = then.get(file, {}), now.get(file, {})
                if one != other:
                    counts = [change(one.get(key), other.get(key)) for key in ("rows_in", "kept", "rejected")]
                    reasons = compare_values(one.get("reasons", {}), other.get("reasons", {}))
                    changes = "; ".join(f"{reason}: {before} → {after}" for reason, before, after in reasons)
                    rows.append((drop, file, *counts, changes))
    return rows


def compare_values(then: dict[str, Any], now: dict[str, Any]) -> list[Row]:
    """Return name, value then and value now, of the nested values that differ."""
    then, now = flatten(then), flatten(now)
    names = dict.fromkeys([*then, *now])
    return [
        (name, show(then[name]) if name in then else ABSENT, show(now[name]) if name in now else ABSENT)
        for name in names
        if (name in then, then.get(name)) != (name in now, now.get(name))
    ]


def compare_measures(then: dict[str, Any], now: dict[str, Any]) -> list[Row]:
    """Return name, value then and now (with its 95% interval if known), and the difference."""
    one, other = number_measures(then), number_measures(now)
    names = [*MEASURES, *sorted({*one, *other} - {*MEASURES})]
    # The bounds of an interval are shown with the measure itself.
    names = [name for name in names if name in {*one, *other} and not name.endswith(("_low", "_high", ".low", ".high"))]
    return [
        (name, show_measure(name, one), show_measure(name, other), show_difference(one.get(name), other.get(name)))
        for name in names
    ]


def number_measures(metrics: dict[str, Any]) -> dict[str, float]:
    """Return the numbers in a stage's metrics by name, without the chosen grid point."""
    flat = flatten({name: value for name, value in metrics.items() if name != "best_params"})
    return {name: value for name, value in flat.items() if isinstance(value, int | float)}


def compare_code(base: Revision, head: Revision) -> list[Row]:
    """Return file, lines added and lines removed, of the code that differs."""
    ends = (base.commit,) if head.is_tree else (base.commit, head.commit)
    changed = read_git("diff", "--numstat", "--no-renames", "--relative", *ends, "--", *CODE).splitlines()
    new = read_git("ls-files", "--others", "--exclude-standard", "--", *CODE).splitlines() if head.is_tree else []
    counted = (line.split("\t") for line in changed)
    return [
        *((file, f"+{added}", f"-{removed}") for added, removed, file in counted),
        *((file, "not in git yet", "") for file in new),
    ]


def list_commits(since: Revision, until: Revision) -> list[Row]:
    """Return hash and subject of the commits in `until` that are not in `since`, newest first."""
    lines = read_git("log", "--format=%h%x09%s", "--abbrev=7", f"{since.commit}..{until.commit}").splitlines()
    return [tuple(line.split("\t", 1)) for line in lines]


def compare_drift(then: dict[str, Any], now: dict[str, Any]) -> list[Row]:
    """Return the results of drift detection of both, even where they are equal."""
    rows: dict[str, Callable[[dict[str, Any]], str]] = {
        "drop": lambda drift: drift.get("current_drop", ABSENT),
        "drift": describe_drift,
        "drifted columns": lambda drift: ", ".join(drift.get("drifted_columns", [])) or ABSENT,
        "alarms": lambda drift: " ".join(drift.get("alarms", [])) or ABSENT,
    }
    numbers = [name for name in DRIFT_NUMBERS if name in then or name in now]
    return [
        *((name, describe(then), describe(now)) for name, describe in rows.items()),
        *((name, show(then.get(name)), show(now.get(name))) for name in numbers),
    ]


def change(then: int | None, now: int | None) -> str:
    """Return a count then and now, or only one if they are equal."""
    return show(now) if then == now else f"{show(then)} → {show(now)}"


def show(value: object) -> str:
    """Return a value as text."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def show_measure(name: str, measures: dict[str, float]) -> str:
    """Return a measure as text, with its interval if it has one."""
    if name not in measures:
        return ABSENT
    value = measures[name]
    text = show(value) if isinstance(value, int) else f"{value:.4f}"
    stem = name.removesuffix("gain")
    ends = [(f"{name}_low", f"{name}_high"), (f"{stem}low", f"{stem}high")][name.endswith(".gain")]
    if all(end in measures for end in ends):
        low, high = (measures[end] for end in ends)
        text += f" ({low:.4f} to {high:.4f})"
    return text


def show_difference(then: float | None, now: float | None) -> str:
    """Return the difference of a measure as text."""
    if then is None or now is None:
        return ABSENT
    if now == then:
        return "0"
    if isinstance(then, int) and isinstance(now, int):
        return f"{now - then:+,}"
    return f"{now - then:+.4f}"


def list_features(then: dict[str, Any], now: dict[str, Any]) -> Iterable[str]:
    """Yield a sentence about the features that only one model uses."""
    for what, one, other in ("added", now, then), ("no longer used", then, now):
        if found := [name for name in one.get("features", []) if name not in other.get("features", [])]:
            yield f"Features {what}: {', '.join(found)}."
