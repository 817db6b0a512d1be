"""The result of a run in a few lines."""

import json
from datetime import date
from pathlib import Path

from churn.base.command import UserError
from churn.base.drops import read_drops
from churn.evaluation.gains import describe_gains
from churn.release.registry import tracking_uri


def summarize_run(root: Path) -> list[str]:
    """Return the summary's lines.

    Parameters
    ----------
    root : Path
        The repository's folder.

    Raises
    ------
    UserError
        When the pipeline has not run to its end yet.
    """
    train, drift = read(root / "metrics/train_model.json"), read(root / "metrics/detect_drift.json")
    training_set = read(root / "metrics/build_training_set.json")
    evaluation, promotion = (
        read(root / "reports/release/evaluation.json"),
        read(root / "reports/release/promote_model.json"),
    )
    published = read(root / "reports/release/publish_drift_report.json")
    newest = read_drops(root / "data/drops.yaml")[-1]
    production, store = evaluation["production"], tracking_uri()
    rows = [
        ("Decision", f"{evaluation['decision']}. {evaluation['reason']}"),
        ("Gates", describe_gates(evaluation["gates"])),
        ("Candidate", describe_model(evaluation["candidate"])),
        ("Production", f"{describe_model(production)} before this run" if production else "none before this run"),
        ("", f"version {promotion['production_version']} now" if promotion["production_version"] else "none now"),
        ("Holdout", describe_holdout(training_set, train)),
        ("Baselines", describe_baselines(train)),
        ("Drift", describe_drift(drift)),
        ("Rows", describe_rows(root, newest)),
        ("Users", describe_users(read(root / f"metrics/build_features/{newest}.json"))),
        ("Look next", f"drift report  {published['uri']}"),
        ("", "model card    reports/model_card.md"),
        ("", "explanation   reports/explainability/shap_summary.png"),
        ("", f"scores        data/scores/{newest}/scores.csv"),
        ("", f"runs          {store if store.startswith('http') else f'mlflow ui --backend-store-uri {store}'}"),
    ]
    return [f"{name:<11} {text}" for name, text in rows]


def describe_model(model: dict) -> str:
    """Name a version and its ROC AUC."""
    return f"version {model['version']}, ROC AUC {model['roc_auc']:.4f}"


def describe_gates(gates: list[dict]) -> str:
    """Tell which gates the candidate passed."""
    return ", ".join(f"{gate['gate']} {'passed' if gate['passed'] else 'FAILED'}" for gate in gates)


def describe_baselines(train: dict) -> str:
    """Tell the baselines' ROC AUC, and whether the model beats them."""
    aucs = ", ".join(f"{name} {auc:.4f}" for name, auc in sorted(train["baselines"].items()))
    return f"{aucs}. {describe_gains(train['gain_over_baselines'])}"


def describe_holdout(training_set: dict, train: dict) -> str:
    """Tell the holdout's date, size and churn rate."""
    return (
        f"{train['holdout_rows']:,} users as of {training_set['holdout_date']}; {train['holdout_churn_rate']:.1%} "
        f"churned within {training_set['horizon_days']} days; trained on {train['train_rows']:,} rows as of "
        f"{', '.join(training_set['training_dates'])}"
    )


def describe_drift(drift: dict) -> str:
    """Tell the drift's verdict, or why there is none."""
    alarms = f"alarms: {' '.join(drift['alarms'])}" if drift["alarms"] else "no alarm"
    if "drift_share" not in drift:
        return f"not measured: {drift['reason']}; {alarms}"
    verdict = "detected" if drift["drift_detected"] else "none"
    return f"{verdict}; {drift['drift_share']:.0%} of the columns drifted; {alarms}"


def describe_rows(root: Path, drop: date) -> str:
    """Tell how many rows of a drop's files were kept, and the commonest reasons against the others."""
    stages = ("clean_payments", "build_user_base")
    accounts = [account for stage in stages for account in read(root / f"metrics/{stage}/{drop}.json").items()]
    rows_in, kept = (sum(account[field] for _, account in accounts) for field in ("rows_in", "kept"))
    reasons = [(count, f"{name} {why}") for name, account in accounts for why, count in account["reasons"].items()]
    told = "; ".join(f"{why}: {count:,}" for count, why in sorted(reasons, key=lambda one: -one[0])[:3])
    more = "; ..." if len(reasons) > 3 else ""
    return f"{rows_in:,} in drop {drop}, {kept:,} kept, {rows_in - kept:,} rejected{told and f' ({told}{more})'}"


def describe_users(counts: dict) -> str:
    """Tell who pays, and how the user files and the payments overlap."""
    unknown = ", ".join(f"{count:,} not in {name}" for name, count in counts["payers_unknown_to"].items() if count)
    return (
        f"{counts['payers']:,} users pay ({unknown or 'all of them in every user file'}); "
        f"users of the files who never pay: {counts['users_who_never_pay']:,}"
    )


def read(path: Path) -> dict:
    """Return a JSON file's content, or tell the user that the run has not come so far."""
    if not path.exists():
        raise UserError(f"{path} is missing: the pipeline has not run to its end. Run: snakemake --cores all")
    return json.loads(path.read_text())
