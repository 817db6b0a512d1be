"""Compare the candidate with the model in Production on the candidate's holdout.

Reads
    register_candidate.json, data/training/holdout.parquet, the registry
Writes
    evaluation.json: candidate and production (version, roc_auc, ece), gain with its interval (null unless another
    version is in Production), gates (value, limit, passed, message), decision (promote or skip), reason
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from churn.base.command import UserError, run_command
from churn.base.files import write_json
from churn.base.params import read_section
from churn.evaluation.metrics import calibration_error, roc_auc
from churn.release.gates import decide
from churn.release.names import model_name
from churn.release.registry import (
    PRODUCTION,
    ROLLED_BACK_TAG,
    aliased_version,
    load_version,
    open_registry,
    tracking_uri,
)


def evaluate_candidate(candidate: Path, holdout: Path, evaluation: Path, params: dict[str, Any]) -> None:
    """Score the holdout with both models and write the decision.

    Parameters
    ----------
    candidate : Path
        Receipt of register_candidate.
    holdout : Path
        Table with labelled rows.
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
        current = aliased_version(client, PRODUCTION)
        production = None if current is None else str(current.version)
        scores = {one: score_version(one, rows) for one in {version, production} - {None}}
        rolled_back = client.get_model_version(model_name(), version).tags.get(ROLLED_BACK_TAG)
    # A model in Production is not compared with itself.
    rival = None if production in (None, version) else scores[production]
    content = decide(rows, scores[version], rival, params)
    if production == version:
        content |= {"decision": "skip", "reason": f"Version {version} is already in Production."}
    elif rolled_back is not None:
        reason = f"Version {version} was rolled back: {rolled_back}. Only make rollback can bring it back."
        content |= {"decision": "skip", "reason": reason}
    label = rows["label"].to_numpy()
    content |= {
        "candidate": {"version": version} | describe(label, scores[version]),
        "production": None if production is None else {"version": production} | describe(label, scores[production]),
        "min_delta": params["min_delta"],
    }
    write_json(content, evaluation)
    print(f"{content['decision']}: {content['reason']}")


def score_version(version: str, rows: pa.Table) -> NDArray[np.float64]:
    """Return each row's probability of churn, by the scorer of a registered version.

    Raises
    ------
    UserError
        When the version cannot be loaded, or needs a column that no longer exists.
    """
    try:
        model, _ = load_version(version)
        return model.predict(rows.select(model.metadata.get_input_schema().input_names()).to_pandas())
    # An old model may fail in any way. That decides nothing between the two models.
    except Exception as error:
        raise UserError(
            f"Version {version} of {model_name()} at {tracking_uri()} cannot score the holdout: {error} Nothing is "
            "promoted. It may need a feature that no longer exists, or its files may be missing: restore them, or "
            f"remove the alias {PRODUCTION!r} from it in MLflow."
        ) from error


def describe(label: NDArray[np.float64], probability: NDArray[np.float64]) -> dict[str, float]:
    """Return the measures of a model that the decision is based on."""
    return {"roc_auc": roc_auc(label, probability), "ece": calibration_error(label, probability)}


def read_min_delta(params: dict[str, Any]) -> float:
    """Return the gain required for a promotion, from CHURN_PROMOTION_MIN_DELTA or else from params.yaml."""
    text = os.environ.get("CHURN_PROMOTION_MIN_DELTA")
    if not text:
        return float(params["min_delta"])
    try:
        delta = float(text)
    except ValueError:
        delta = -1.0
    if not 0 <= delta <= 1:
        raise UserError(f"CHURN_PROMOTION_MIN_DELTA must be a number from 0 to 1, like 0.005, not {text!r}.")
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
