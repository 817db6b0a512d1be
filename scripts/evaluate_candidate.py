"""Compare the candidate with the model in Production, both on the candidate's holdout.

Reads
    register_candidate.json, data/training/holdout.parquet, the registry
Writes
    evaluation.json: candidate and production (version, roc_auc), gain, min_delta, decision (promote or skip), reason
"""

import argparse
import json
import os
from pathlib import Path

import pandas as pd

from churn.command import UserError, run_command
from churn.evaluation import roc_auc
from churn.files import write_json
from churn.params import read_section
from churn.registry import MODEL, PRODUCTION, aliased_version, open_registry


def evaluate_candidate(candidate: Path, holdout: Path, evaluation: Path, params: dict) -> None:
    """Score the holdout with both models and write the decision.

    Parameters
    ----------
    candidate : Path
        Receipt of register_candidate.
    holdout : Path
        Parquet file with the features and `label`.
    evaluation : Path
        The JSON file to write.
    params : dict
        Section evaluate_candidate of params.yaml; the environment's CHURN_PROMOTION_MIN_DELTA overrides min_delta.

    Raises
    ------
    UserError
        When Production cannot score the holdout, or MLflow does not answer.
    """
    rows = pd.read_parquet(holdout)
    candidate_version = json.loads(candidate.read_text())["version"]
    with open_registry() as client:
        production = aliased_version(client, PRODUCTION)
        candidate_auc = score_version(candidate_version, rows)
        if production is None or str(production.version) == candidate_version:
            production_auc = None if production is None else candidate_auc
        else:
            production_auc = score_version(str(production.version), rows)
    content = decide(
        candidate={"version": candidate_version, "roc_auc": candidate_auc},
        production=production and {"version": str(production.version), "roc_auc": production_auc},
        min_delta=read_min_delta(params),
    )
    write_json(content, evaluation)
    print(f"{content['decision']}: {content['reason']}")


def decide(candidate: dict, production: dict | None, min_delta: float) -> dict:
    """Decide on the candidate, with the reason in plain words."""
    gain = None if production is None else candidate["roc_auc"] - production["roc_auc"]
    if production is None:
        decision = "promote"
        reason = f"There is no Production yet; the candidate's ROC AUC is {candidate['roc_auc']:.4f}."
    elif production["version"] == candidate["version"]:
        decision, reason = "skip", f"Version {candidate['version']} is in Production already."
    else:
        decision = "promote" if gain >= min_delta else "skip"
        verb = "reaches" if decision == "promote" else "is below"
        reason = (
            f"On the same holdout the candidate's ROC AUC is {candidate['roc_auc']:.4f} and Production's "
            f"{production['roc_auc']:.4f}: the gain of {gain:+.4f} {verb} the {min_delta} that a promotion needs."
        )
    return {
        "candidate": candidate,
        "production": production,
        "gain": gain,
        "min_delta": min_delta,
        "decision": decision,
        "reason": reason,
    }


def score_version(version: str, rows: pd.DataFrame) -> float:
    """Return the ROC AUC of a registered version on labelled rows, scored by that version's own scorer."""
    import mlflow
    from mlflow.exceptions import MlflowException

    model = mlflow.pyfunc.load_model(f"models:/{MODEL}/{version}")
    try:
        return roc_auc(rows["label"].to_numpy(), model.predict(rows[model.metadata.get_input_schema().input_names()]))
    except (KeyError, MlflowException) as error:
        raise UserError(
            f"Version {version} of {MODEL} cannot score the holdout: {error}. It was trained on other features; it "
            "neither wins nor loses by that. Bring the feature back, or take the alias from that version."
        ) from error


def read_min_delta(params: dict) -> float:
    """Return the gain that a promotion needs: CHURN_PROMOTION_MIN_DELTA, or params.yaml's."""
    text = os.environ.get("CHURN_PROMOTION_MIN_DELTA")
    if not text:
        return params["min_delta"]
    try:
        delta = float(text)
    except ValueError:
        delta = -1.0
    if not 0 <= delta <= 1:
        raise UserError(f"CHURN_PROMOTION_MIN_DELTA must be a number from 0 to 1, like 0.005; it is {text!r}.")
    return delta


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidate", type=Path, required=True, help="receipt of register_candidate")
    parser.add_argument("--holdout", type=Path, required=True, help="Parquet file of holdout rows")
    parser.add_argument("--evaluation", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params = read_section(args.params, "evaluate_candidate")
    evaluate_candidate(args.candidate, args.holdout, args.evaluation, params)


if __name__ == "__main__":
    run_command(main)
