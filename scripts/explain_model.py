"""Explain the candidate: what each feature adds to the log-odds of churn, by SHAP.

Reads
    models/candidate/scorer.onnx; holdout.parquet: user_id and the features
Writes
    shap_summary.png: a point for each explained user and feature, the strongest feature first
    mean_abs_shap.json: feature to mean |SHAP| (log-odds) over the explained users
"""

import argparse
import warnings
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq

with warnings.catch_warnings():
    # shap 0.51 calls what matplotlib 3.11 is going to deprecate.
    warnings.simplefilter("ignore", PendingDeprecationWarning)
    import shap

from churn.command import run_command
from churn.files import write_json, write_whole
from churn.params import read_section
from churn.scorer import feature_tensors, load_scorer, open_session
from churn.user_hash import hash_users


def explain_model(model: Path, holdout: Path, output: Path, params: dict) -> None:
    """Write the explanation of a sample of the holdout.

    Parameters
    ----------
    model : Path
        Folder of the candidate.
    holdout : Path
        Parquet file with user_id and the features.
    output : Path
        The folder to write.
    params : dict
        Section explain_model of params.yaml.

    Raises
    ------
    UserError
        When the holdout lacks a feature of the model.
    """
    rows = choose_sample(pq.read_table(holdout), params["sample_rows"])
    features = load_scorer(model / "scorer.onnx").features
    explanation = explain_rows(model / "scorer.onnx", features, rows)
    mean_abs = np.abs(explanation.values).mean(axis=0)
    with write_whole(output) as folder:
        folder.mkdir()
        write_json(dict(zip(features, mean_abs.tolist(), strict=True)), folder / "mean_abs_shap.json")
        save_summary(explanation, folder / "shap_summary.png")
    strongest = [features[number] for number in np.argsort(-mean_abs, kind="stable")[:3]]
    print(f"{len(rows)} users explained; what moves the model most: {', '.join(strongest)}")


def choose_sample(rows: pa.Table, number: int) -> pa.Table:
    """Return the rows of the users with the smallest hash: the same users whatever the order of the rows."""
    order = np.argsort(hash_users(rows["user_id"].to_numpy()), kind="stable")
    return rows.take(order[:number])


def explain_rows(scorer: Path, features: list[str], rows: pa.Table) -> shap.Explanation:
    """Return the SHAP values of a linear model, exactly: coefficient times distance from the training mean.

    Returns
    -------
    shap.Explanation
        values of shape (rows, features) and base values of shape (rows,), in log-odds of churn; a row's values and
        its base value sum to the model's log-odds. data holds the raw features.
    """
    graph = onnx.load(scorer)
    classifier = next(node for node in graph.graph.node if node.op_type == "LinearClassifier")
    attributes = {attribute.name: attribute for attribute in classifier.attribute}
    coefficients = np.array(attributes["coefficients"].floats)[-len(features) :]
    # The scaled values are centred on the training means, so they are the distances already.
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(classifier.input[0]))
    tensors = feature_tensors(rows, features)
    (scaled,) = open_session(graph.SerializeToString()).run([classifier.input[0]], tensors)
    base = attributes["intercepts"].floats[-1]
    return shap.Explanation(
        values=scaled * coefficients,
        base_values=np.full(len(rows), base),
        data=np.hstack([tensors[name] for name in features]),
        feature_names=features,
    )


def save_summary(explanation: shap.Explanation, target: Path) -> None:
    """Draw every explained user as a point in the row of each feature, the strongest feature first."""
    # The points' jitter comes from NumPy's global generator.
    np.random.seed(0)
    shap.plots.beeswarm(explanation, max_display=len(explanation.feature_names), show=False, s=6, plot_size=(9, 8))
    plt.title("What moves each user's log-odds of churn", loc="left")
    plt.xlabel("SHAP value (log-odds; right: more likely to churn)")
    plt.tight_layout()
    plt.savefig(target, dpi=110, metadata={"Software": None})
    plt.close()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of the candidate")
    parser.add_argument("--holdout", type=Path, required=True, help="Parquet file of holdout rows")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    explain_model(args.model, args.holdout, args.output, read_section(args.params, "explain_model"))


if __name__ == "__main__":
    run_command(main)
