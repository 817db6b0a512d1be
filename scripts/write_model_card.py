"""Write the candidate's model card: its data, its quality overall and by segment, its strongest features, its limits.

Reads
    params.yaml; metrics/build_training_set.json, metrics/train_model.json; segments.json of the plots;
    mean_abs_shap.json of the explanation
Writes
    model_card.md
"""

import argparse
from pathlib import Path
from typing import Any

from churn.base.command import run_command
from churn.base.files import write_whole
from churn.base.markdown import escape, write_table
from churn.base.params import read_section
from churn.base.reading import read_json
from churn.evaluation.differences import describe_differences
from churn.evaluation.gains import describe_gains


def write_model_card(
    training_set: Path, metrics: Path, segments: Path, shap: Path, card: Path, params: dict[str, Any]
) -> None:
    """Write the card in Markdown.

    Parameters
    ----------
    training_set, metrics : Path
        The metrics of build_training_set and of train_model.
    segments : Path
        The metrics of each segment of the holdout.
    shap : Path
        Mean |SHAP| of each feature.
    card : Path
        The Markdown file to write.
    params : dict
        Section write_model_card of params.yaml.
    """
    data, quality, by_segment, strengths = (read_json(path) for path in (training_set, metrics, segments, shap))
    parts = [
        "# Model card of the churn model",
        describe_purpose(data),
        "## Data",
        describe_data(data, quality),
        "## Quality",
        describe_quality(quality),
        "## Segments",
        describe_segments(by_segment),
        describe_differences(by_segment, describe_all(quality)),
        "## Strongest features",
        describe_features(strengths, params["strongest_features"]),
        "## Limits",
        describe_limits(data),
    ]
    with write_whole(card) as path:
        path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"{quality['family']}, {len(quality['features'])} features, ROC AUC {quality['roc_auc']:.4f}")


def describe_purpose(training_set: dict[str, Any]) -> str:
    """Describe what is predicted, and for whom."""
    return (
        "The model predicts the probability that a user makes no payment in the "
        f"{training_set['horizon_days']} days after an as-of date, for users with at least one payment in the "
        f"{training_set['lookback_days']} days up to it."
    )


def describe_data(training_set: dict[str, Any], metrics: dict[str, Any]) -> str:
    """Describe the rows and the churn rate at each as-of date, and the features left out."""
    holdout = training_set["holdout_date"]
    rows = [
        (date, "holdout" if date == holdout else "training", f"{found['rows']:,}", f"{found['churn_rate']:.1%}")
        for date, found in sorted(training_set["as_of_dates"].items())
    ]
    left_out = metrics["features_left_out"]
    return (
        write_table(("as-of date", "used for", "users", "churn rate"), rows)
        + f"\n\n{describe_limits_of_data(training_set)}"
        + f"\n\nFeatures left out, unknown or constant in training or by choice: {', '.join(left_out) or 'none'}."
    )


def describe_limits_of_data(training_set: dict[str, Any]) -> str:
    """Describe which dates and users the limits of the training set left out."""
    dates, rows = training_set["training_dates_left_out"], training_set["training_rows_left_out"]
    part = training_set["users_part"]
    users = f"one user in {part} is used, {rows:,} rows are left out" if part > 1 else "all users are used"
    return (
        f"Training uses at most {training_set['max_training_dates']} dates ({dates} older ones are left out) and "
        f"{training_set['max_training_rows']:,} rows ({users})."
    )


def describe_quality(metrics: dict[str, Any]) -> str:
    """Describe the family, the metrics on the holdout, and the comparison with the baselines."""
    point = ", ".join(f"{name} {value}" for name, value in metrics["best_params"].items())
    rows = [
        ("ROC AUC", "{roc_auc:.4f} (95% interval {roc_auc_low:.4f} to {roc_auc_high:.4f})"),
        ("PR AUC", "{pr_auc:.4f}"),
        ("log loss, Brier score", "{log_loss:.4f}, {brier:.4f}"),
        ("expected calibration error", "{ece:.4f}"),
        ("mean prediction, churn rate", "{mean_prediction:.3f}, {holdout_churn_rate:.3f}"),
        ("lift at 1, 5, 10%", "{lift_at_1_percent:.2f}, {lift_at_5_percent:.2f}, {lift_at_10_percent:.2f}"),
        ("flagged (probability {threshold:.3f} or more)", "{true_positives} who churned, {false_positives} who stayed"),
        ("not flagged", "{false_negatives} who churned, {true_negatives} who stayed"),
    ]
    measured = [(name.format(**metrics), text.format(**metrics)) for name, text in rows]
    return (
        f"Family {metrics['family']} ({point}), chosen by {metrics['cv_metric']} in cross-validation "
        f"({metrics['cv_score']:.4f}). On the holdout, which is later than all training rows and was scored once:\n\n"
        + write_table(("measure", "value"), measured)
        + f"\n\n{describe_gains(metrics['gain_over_baselines'])}"
    )


def describe_segments(segments: list[dict[str, Any]]) -> str:
    """Describe the quality in each segment, and the share of its churners that the threshold finds."""
    rows = [
        (
            escape(segment["segment"]),
            f"{segment['users']:,}",
            f"{segment['churn_rate']:.1%}",
            f"{segment['mean_prediction']:.1%}",
            "too few users"
            if segment["roc_auc"] is None
            else "{roc_auc:.3f} ({roc_auc_low:.3f} to {roc_auc_high:.3f})".format(**segment),
            "too few users" if segment["roc_auc"] is None else f"{find_recall(segment):.0%}",
        )
        for segment in segments
    ]
    return write_table(("segment", "users", "churn rate", "mean prediction", "ROC AUC", "churners found"), rows)


def find_recall(measured: dict[str, Any]) -> float:
    """Return the share of the churned users who are flagged."""
    found, missed = measured["true_positives"], measured["false_negatives"]
    return float(found / (found + missed))


def describe_all(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what `describe_differences` compares segments with: the same measures for all users of the holdout."""
    counts = ("true_positives", "false_positives", "false_negatives", "true_negatives")
    return {
        "roc_auc": metrics["roc_auc"],
        "mean_prediction": metrics["mean_prediction"],
        "churn_rate": metrics["holdout_churn_rate"],
        "users": sum(metrics[count] for count in counts),
    }


def describe_features(shap: dict[str, float], number: int) -> str:
    """List the strongest features."""
    strongest = sorted(shap.items(), key=lambda item: -item[1])[:number]
    return (
        write_table(("feature", "mean abs. SHAP value"), [(f"`{name}`", f"{value:.4f}") for name, value in strongest])
        + f"\n\nThe {len(strongest)} strongest of {len(shap)} features."
    )


def describe_limits(training_set: dict[str, Any]) -> str:
    """Describe what the model must not be used for."""
    return "\n".join(
        [
            f"- A user without a payment in {training_set['lookback_days']} days is outside its population.",
            "- The churn rate moves with the season; compare mean prediction and churn rate before you use the "
            "probability itself and not just the ranking.",
            "- Demographics are assumed to be constant. SHAP values explain the model, not what makes a user stay.",
            "- Segments with few users are not measured: the quality there is unknown.",
        ]
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--training-set", type=Path, required=True, help="metrics of build_training_set")
    parser.add_argument("--metrics", type=Path, required=True, help="metrics of train_model")
    parser.add_argument("--plots", type=Path, required=True, help="plots of train_model")
    parser.add_argument("--explanation", type=Path, required=True, help="folder of explain_model")
    parser.add_argument("--card", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params = read_section(args.params, "write_model_card")
    segments, shap = args.plots / "segments.json", args.explanation / "mean_abs_shap.json"
    write_model_card(args.training_set, args.metrics, segments, shap, args.card, params)


if __name__ == "__main__":
    run_command(main)
