"""Compare the candidate with the model in Production, both on the candidate's holdout.

Reads
    register_candidate.json, data/training/holdout.parquet, the registry
Writes
    evaluation.json: candidate and production (version, roc_auc, ece), gain with its interval (null unless another
    version is in Production), gates (value, limit, passed, told), decision (promote or skip), reason
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from churn.base.command import UserError, run_command
from churn.base.files import write_json
from churn.base.params import read_section
from churn.evaluation.metrics import calibration_error, roc_auc
from churn.release.gates import decide
from churn.release.registry import (
    MODEL,
    PRODUCTION,
    ROLLED_BACK_TAG,
    aliased_version,
    load_version,
    open_registry,
    tracking_uri,
)


def evaluate_candidate(candidate: Path, holdout: Path, evaluation: Path, params: dict) -> None:
    """Score the holdout with both models and write the decision.

    Parameters
    ----------
    candidate : Path
        Receipt of register_candidate.
    holdout : Path
        Table of labelled rows.
    evaluation : Path
        The JSON file to write.
    params : dict
        Section evaluate_candidate of params.yaml; the environment's CHURN_PROMOTION_MIN_DELTA overrides min_delta.

    Raises
    ------
    UserError
        When Production cannot be loaded or cannot score the holdout, or MLflow does not answer.
    """
    rows = pq.read_table(holdout)
    version = json.loads(candidate.read_text())["version"]
    params = params | {"min_delta": read_min_delta(params)}
    with open_registry() as client:
        production = aliased_version(client, PRODUCTION)
        production = production and str(production.version)
        scores = {one: score_version(one, rows) for one in {version, production} - {None}}
        rolled_back = client.get_model_version(MODEL, version).tags.get(ROLLED_BACK_TAG)
    # Beside itself a model gains nothing, and need not.
    rival = None if production == version else scores.get(production)
    content = decide(rows, scores[version], rival, params)
    if production == version:
        content |= {"decision": "skip", "reason": f"Version {version} is in Production already."}
    elif rolled_back is not None:
        reason = f"Version {version} was rolled back: {rolled_back}. Only make rollback brings it back."
        content |= {"decision": "skip", "reason": reason}
    label = rows["label"].to_numpy()
    content |= {
        "candidate": {"version": version} | describe(label, scores[version]),
        "production": production and {"version": production} | describe(label, scores[production]),
        "min_delta": params["min_delta"],
    }
    write_json(content, evaluation)
    print(f"{content['decision']}: {content['reason']}")


def score_version(version: str, rows: pa.Table) -> np.ndarray:
    """Return the probability of churn of each row by a registered version's own scorer.

    Raises
    ------
    UserError
        When the version cannot be loaded, or needs a column that is gone.
    """
    try:
        model, _ = load_version(version)
        return model.predict(rows.select(model.metadata.get_input_schema().input_names()).to_pandas())
    # Whatever goes wrong inside a model that may be of another time: neither model wins or loses by it.
    except Exception as error:
        raise UserError(
            f"Version {version} of {MODEL} at {tracking_uri()} cannot score the holdout: {error} Nothing is promoted. "
            "It may have been trained on a feature that is gone, or its files may be lost: bring them back, or take "
            f"the alias {PRODUCTION!r} from it in MLflow."
        ) from error


def describe(label: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Return what the decision rests on, of one model."""
    return {"roc_auc": roc_auc(label, probability), "ece": calibration_error(label, probability)}


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
    parser.add_argument("--holdout", type=Path, required=True, help="table of holdout rows")
    parser.add_argument("--evaluation", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params = read_section(args.params, "evaluate_candidate")
    evaluate_candidate(args.candidate, args.holdout, args.evaluation, params)


if __name__ == "__main__":
    run_command(main)
