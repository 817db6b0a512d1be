"""Summarise the result of a run in a few lines."""

from pathlib import Path
from typing import Any

from churn.base.addresses import hide_logins
from churn.base.command import UserError
from churn.base.reading import read_json
from churn.drift.verdict import describe_drift
from churn.evaluation.gains import describe_gains
from churn.release.lookup import read_aliases
from churn.release.registry import HOLD_ALIAS, PRODUCTION, tracking_uri


def summarize_run(root: Path) -> list[str]:
    """Return the summary's lines.

    Parameters
    ----------
    root : Path
        The repository's folder.

    Raises
    ------
    UserError
        When the pipeline has not finished yet.
    """
    train, drift = read_result(root / "metrics/train_model.json"), read_result(root / "metrics/detect_drift.json")
    training_set = read_result(root / "metrics/build_training_set.json")
    evaluation, promotion = (
        read_result(root / "reports/release/evaluation.json"),
        read_result(root / "reports/release/promote_model.json"),
    )
    published = read_result(root / "reports/release/publish_drift_report.json")
    newest = drift["current_drop"]
    scores = read_result(root / f"reports/release/score_users/{newest}.json")
    production, store = evaluation["production"], hide_logins(tracking_uri())
    rows = [
        ("Decision", f"{promotion['decision']}. {promotion['reason']}"),
        ("Gates", describe_gates(evaluation["gates"])),
        ("Candidate", describe_model(evaluation["candidate"])),
        ("Production", f"{describe_model(production)} before this run" if production else "none before this run"),
        ("", describe_production(promotion)),
        ("Holdout", describe_holdout(training_set, train)),
        ("Baselines", describe_baselines(train)),
        ("Drift", describe_drift_and_alarms(drift)),
        ("Rows", describe_rows(root, newest)),
        ("Users", describe_users(read_result(root / f"metrics/build_features/{newest}.json"))),
        ("Look next", f"drift report  {hide_logins(published['uri'])}"),
        ("", "model card    reports/model_card.md"),
        ("", "explanation   reports/explainability/shap_summary.png"),
        ("", f"scores        {describe_scores(scores)}"),
        ("", f"runs          {store if store.startswith('http') else f'mlflow ui --backend-store-uri {store}'}"),
    ]
    return [f"{name:<11} {text}" for name, text in rows]


def describe_model(model: dict[str, Any]) -> str:
    """Return a version and its ROC AUC in words."""
    if model["roc_auc"] is None:
        return f"version {model['version']} (not compared)"
    return f"version {model['version']}, ROC AUC {model['roc_auc']:.4f}"


def describe_production(promotion: dict[str, Any]) -> str:
    """Return which version is in Production now, as the registry says, or as the run left it without an answer."""
    aliases = read_aliases()
    now = promotion["production_version"] if aliases is None else aliases.get(PRODUCTION)
    known = "" if aliases is not None else " when the run ended; MLflow does not answer"
    changed = "" if now == promotion["production_version"] else "; it has changed since the run: make run"
    held = "; promotions are held: make ledger" if aliases and HOLD_ALIAS in aliases else ""
    return f"version {now} now{held}{known}{changed}" if now else f"none now{held}{known}{changed}"


def describe_scores(scores: dict[str, Any]) -> str:
    """Return where the scores are, or why there are none."""
    if scores["model_version"] is None:
        return f"none: {scores['reason']}"
    return next(str(path) for path in scores["files"] if path.endswith(".csv"))


def describe_gates(gates: list[dict[str, Any]]) -> str:
    """Return which gates the candidate passed and failed."""
    return ", ".join(f"{gate['gate']} {'passed' if gate['passed'] else 'FAILED'}" for gate in gates)


def describe_baselines(train: dict[str, Any]) -> str:
    """Return the baselines' ROC AUC, and whether the model is better."""
    aucs = ", ".join(f"{name} {auc:.4f}" for name, auc in sorted(train["baselines"].items()))
    return f"{aucs}. {describe_gains(train['gain_over_baselines'])}"


def describe_holdout(training_set: dict[str, Any], train: dict[str, Any]) -> str:
    """Return the holdout's date, size and churn rate in words."""
    dates = training_set["training_dates"]
    since = f"{dates[0]} to {dates[-1]} ({len(dates)} dates)" if dates[1:] else dates[0]
    return (
        f"{train['holdout_rows']:,} users as of {training_set['holdout_date']}; {train['holdout_churn_rate']:.1%} "
        f"churned within {training_set['horizon_days']} days; trained on {train['train_rows']:,} rows as of {since}"
    )


def describe_drift_and_alarms(drift: dict[str, Any]) -> str:
    """Return the result of drift detection, with the alarms."""
    alarms = f"alarms: {' '.join(drift['alarms'])}" if drift["alarms"] else "no alarm"
    return f"{describe_drift(drift)}; {alarms}"


def describe_rows(root: Path, drop: str) -> str:
    """Return how many rows of a drop's files were kept, and the most common reasons for rejecting the others."""
    stages = ("clean_payments", "build_user_base")
    files = [file for stage in stages for file in read_result(root / f"metrics/{stage}/{drop}.json").items()]
    rows_in, kept = (sum(counts[field] for _, counts in files) for field in ("rows_in", "kept"))
    reasons = [(count, f"{name} {why}") for name, counts in files for why, count in counts["reasons"].items()]
    common = "; ".join(f"{why}: {count:,}" for count, why in sorted(reasons, key=lambda one: -one[0])[:3])
    more = "; ..." if len(reasons) > 3 else ""
    return f"{rows_in:,} in drop {drop}, {kept:,} kept, {rows_in - kept:,} rejected{common and f' ({common}{more})'}"


def describe_users(counts: dict[str, Any]) -> str:
    """Return how many users pay, and how the user files and the payments overlap."""
    unknown = ", ".join(f"{count:,} not in {name}" for name, count in counts["payers_unknown_to"].items() if count)
    return (
        f"{counts['payers']:,} users pay ({unknown or 'all of them in every user file'}); "
        f"users of the files who never pay: {counts['users_who_never_pay']:,}"
    )


def read_result(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file; raise `UserError` if the run has not written it yet."""
    if not path.exists():
        raise UserError(f"{path} is missing: the pipeline has not finished. Run: snakemake --cores all")
    content: dict[str, Any] = read_json(path)
    return content
