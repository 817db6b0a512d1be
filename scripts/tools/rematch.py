"""Compare the candidate with a reference: Production's own parameters, trained again on today's rows.

For a Production that cannot be compared, because it was trained on other features, for another question, or on the
holdout's period. Nothing is promoted: a person decides, with `make promote`.

Reads
    data/training, params.yaml, reports/release/evaluation.json, metrics/build_training_set.json, the registry
Writes
    reports/rematch: the reference model, its metrics and plots; rematch.json: candidate, reference, gates, decision
    a tag of the candidate's version, such as holdout_2026-02-15_30d: which holdout has judged it
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from churn.base.command import UserError, run_command
from churn.base.files import write_json, write_whole
from churn.base.params import read_params
from churn.base.reading import read_json, read_table
from churn.features.table import feature_names
from churn.release.comparison import join_holdout, measure_scores, read_min_delta, score_version
from churn.release.gates import decide
from churn.release.meaning import read_run, rows_meaning
from churn.release.names import model_name
from churn.release.registry import PRODUCTION, aliased_version, open_registry
from churn.scoring.scorer import load_scorer

ROWS = Path("metrics/build_training_set.json")
CANDIDATE = Path("models/candidate/scorer.onnx")
TRAIN, HOLDOUT = Path("data/training/train.parquet"), Path("data/training/holdout.parquet")


def rematch(evaluation: Path, folder: Path, params: dict[str, Any]) -> str:
    """Train the reference, compare, and return the result in words.

    Parameters
    ----------
    evaluation : Path
        The evaluation.json of evaluate_candidate, which names the candidate.
    folder : Path
        Where the reference goes.
    params : dict
        All of params.yaml.

    Raises
    ------
    UserError
        When there is no candidate or no Production, its parameters are unknown, or MLflow does not answer.
    """
    if not evaluation.exists():
        raise UserError(f"{evaluation} is missing: there is no candidate yet. Run: make run")
    candidate = read_json(evaluation)["candidate"]["version"]
    rows = read_table(HOLDOUT)
    with open_registry() as client:
        current = aliased_version(client, PRODUCTION)
        if current is None:
            raise UserError(f"{model_name()} has no version in Production, so there is nothing to compare with.")
        if str(current.version) == candidate:
            raise UserError(f"The candidate, version {candidate}, is in Production itself.")
        section = own_parameters(*read_run(client, current), params["train_model"], feature_names(rows.column_names))
        scores = score_version(candidate, rows)
        # Another look at this holdout, as every comparison is.
        judged = join_holdout(client, candidate, max(rows["as_of_date"].to_pylist()), rows_meaning(ROWS).horizon_days)
    train_reference(params | {"train_model": section}, folder)
    reference = load_scorer(folder / "model" / "scorer.onnx").score(rows)
    gates = params["evaluate_candidate"]
    content = decide(rows, scores, reference, gates | {"min_delta": read_min_delta(gates)}, judged, "the reference")
    content |= {
        "candidate": {"version": candidate} | measure_scores(rows, scores),
        "reference": {"production_version": str(current.version)} | measure_scores(rows, reference),
    }
    write_json(content, folder / "rematch.json")
    if (folder / "model/scorer.onnx").read_bytes() == CANDIDATE.read_bytes():
        return (
            f"The reference is the candidate: version {current.version} has today's parameters, so trained on today's "
            f"rows it is the same model. What the other features or the other question are worth, this cannot say. Try "
            f"make compare BASE=<commit of version {current.version}>, or decide yourself: make promote "
            f'VERSION={candidate} WHY="..."'
        )
    better = "would be promoted" if content["decision"] == "promote" else "would not be promoted"
    return (
        f"Against version {current.version}'s parameters ({section['family']}), trained on today's rows, version "
        f"{candidate} {better}. {content['reason']} Nothing has changed. To promote it: make promote "
        f'VERSION={candidate} WHY="..."'
    )


def train_reference(params: dict[str, Any], folder: Path) -> None:
    """Train a model as the stage train_model does, with other parameters."""
    folder.mkdir(parents=True, exist_ok=True)
    with write_whole(folder / "params.yaml") as path:
        path.write_text(yaml.safe_dump(params, sort_keys=False))
    outputs = {"model": folder / "model", "metrics": folder / "metrics.json", "plots": folder / "plots"}
    paths = {"train": TRAIN, "holdout": HOLDOUT, "params": folder / "params.yaml"} | outputs
    arguments = [text for name, path in paths.items() for text in (f"--{name}", str(path))]
    if subprocess.run([sys.executable, "scripts/train_model.py", *arguments], check=False).returncode:
        raise UserError("The reference was not trained; the message above says why.")


def own_parameters(
    found: dict[str, Any], measured: dict[str, float], today: dict[str, Any], features: list[str]
) -> dict[str, Any]:
    """Return section train_model with a version's family, grid point, threshold and features.

    Parameters
    ----------
    found : dict
        Its parameters, nested names with dots.
    measured : dict
        Its metrics, with the numbers of its grid point as best_params.
    today : dict
        Section train_model of today's params.yaml.
    features : list of str
        The features that today's rows have.
    """
    own = {name: found[f"train_model.{name}"] for name in today if f"train_model.{name}" in found}
    if "family" not in own:
        raise UserError("Production's run does not name the parameters of its training, so it cannot be repeated.")
    if own["family"] not in today["grids"]:
        raise UserError(
            f"Production is of the family {own['family']}, which this version of the project does not have (grids of "
            "train_model in params.yaml), so it cannot be repeated."
        )
    start = f"train_model.grids.{own['family']}."
    grid = {name.removeprefix(start): values for name, values in found.items() if name.startswith(start)}
    point = {name: measured.get(f"best_params.{name}") for name in grid}
    chosen = {name: [value for value in values if value == point[name]] for name, values in grid.items()}
    for name in "leave_out", "log_features":
        own[name] = [one for one in own.get(name, []) if one in features]
    return today | own | {"grids": {own["family"]: {name: chosen[name] or values for name, values in grid.items()}}}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("reports/rematch"), help="where the reference goes")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    print(rematch(Path("reports/release/evaluation.json"), args.folder, read_params(args.params)))


if __name__ == "__main__":
    run_command(main)
