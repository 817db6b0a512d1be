"""Explain the candidate with SHAP: what each feature adds to a user's log-odds, or probability, of churn.

Reads
    models/candidate/scorer.onnx; holdout.parquet: user_id and the features
Writes
    shap_summary.png: a point for each explained user and feature, strongest feature first
    mean_abs_shap.json: mean |SHAP| over the explained users, by feature
"""

import argparse
import warnings
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa

with warnings.catch_warnings():
    # shap 0.51 uses an API that matplotlib 3.11 is about to deprecate.
    warnings.simplefilter("ignore", PendingDeprecationWarning)
    import shap

from churn.base.command import run_command
from churn.base.files import write_json, write_whole
from churn.base.params import read_section
from churn.base.reading import read_table
from churn.features.user_hash import hash_users
from churn.pictures import save_picture
from churn.scoring.explanation import Explanation, explain_rows


def explain_model(model: Path, holdout: Path, output: Path, params: dict[str, Any]) -> None:
    """Write the explanation of a sample of the holdout.

    Parameters
    ----------
    model : Path
        Folder of the candidate.
    holdout : Path
        Table with user_id and the features.
    output : Path
        The folder to write.
    params : dict
        Section explain_model of params.yaml.

    Raises
    ------
    UserError
        When the holdout lacks one of the model's features.
    """
    rows = choose_sample(read_table(holdout), params["sample_rows"])
    explanation = explain_rows(model / "scorer.onnx", rows)
    features = explanation.features
    mean_abs = np.abs(explanation.values).mean(axis=0)
    with write_whole(output) as folder:
        folder.mkdir()
        write_json(dict(zip(features, mean_abs.tolist(), strict=True)), folder / "mean_abs_shap.json")
        save_summary(explanation, folder / "shap_summary.png")
    strongest = [features[number] for number in np.argsort(-mean_abs, kind="stable")[:3]]
    print(f"{len(rows)} users explained; strongest features: {', '.join(strongest)}")


def choose_sample(rows: pa.Table, number: int) -> pa.Table:
    """Return the rows with the smallest user hashes: the same users in any order of the rows."""
    order = np.argsort(hash_users(rows["user_id"]), kind="stable")
    return rows.take(order[:number])


def save_summary(explanation: Explanation, target: Path) -> None:
    """Draw every explained user as a point in each feature's row, strongest feature first."""
    drawn = shap.Explanation(explanation.values, data=explanation.data, feature_names=explanation.features)
    # The jitter of the points uses NumPy's global generator.
    np.random.seed(0)
    with warnings.catch_warnings():
        # A feature may be unknown for all of these users: SHAP draws its points in grey.
        warnings.filterwarnings("ignore", "All-NaN slice encountered", RuntimeWarning)
        shap.plots.beeswarm(drawn, max_display=len(explanation.features), show=False, s=6, plot_size=(9, 8))
    plt.title(f"Contribution of each feature to a user's {explanation.unit} of churn", loc="left")
    plt.xlabel(f"SHAP value ({explanation.unit}; right: more likely to churn)")
    plt.tight_layout()
    save_picture(plt.gcf(), target)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of the candidate")
    parser.add_argument("--holdout", type=Path, required=True, help="table of holdout rows")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    explain_model(args.model, args.holdout, args.output, read_section(args.params, "explain_model"))


if __name__ == "__main__":
    run_command(main)
