"""Register the candidate: one MLflow run and one model version per candidate, however often this runs.

Reads
    models/candidate, data/training, metrics, plots, reports/explainability and model_card.md, params.yaml, dvc.lock
Writes
    a run in the experiment churn_retention with a child run for each grid point, and a version of churn-model with the
    model card as its description; both are tagged with the candidate's digest
    register_candidate.json: version, run_id, digest, tracking_uri
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from churn.base.command import run_command
from churn.base.files import write_json
from churn.base.params import read_params
from churn.release.candidate import CANDIDATE, CARD, METRICS, PLOTS, TRAINING, save_dataset, save_scorer
from churn.release.flatten import flatten
from churn.release.names import experiment_name, model_name
from churn.release.provenance import collect_tags, output_digest
from churn.release.registry import DIGEST_TAG, SQLITE, find_runs, find_version, open_registry, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

DRIFT_FIGURES = ("drift_share", "drift_detected", "prediction_distance", "churn_rate_difference")
# The limit of MLflow's table.
LONGEST_DESCRIPTION = 5000


def register_candidate(receipt: Path, params: dict[str, Any]) -> None:
    """Find or create the candidate's run and version, and write the receipt.

    Parameters
    ----------
    receipt : Path
        The JSON file to write.
    params : dict
        All of params.yaml, which is logged with the run.

    Raises
    ------
    UserError
        When the stages have not run, or MLflow does not answer.
    """
    digest = output_digest(str(CANDIDATE))
    with open_registry() as client:
        version = find_version(client, digest)
        # A run copied from an embedded store may have the same candidate.
        run = client.get_run(version.run_id) if version else find_or_start_run(client, digest)
        log_metrics(client, run.info.run_id)
        if version is None:
            log_contents(client, run, params)
            log_grid(client, run)
            version = create_version(client, run, digest)
        client.set_terminated(run.info.run_id)
    content = {"version": str(version.version), "run_id": run.info.run_id, "digest": digest}
    write_json(content | {"tracking_uri": tracking_uri()}, receipt)
    print(f"{model_name()} version {version.version} is the candidate {digest}")


def find_or_start_run(client: "MlflowClient", digest: str) -> "Run":
    """Return the candidate's run: the one that a killed process left unfinished, or a new one."""
    experiment = client.get_experiment_by_name(experiment_name())
    if experiment is None:
        beside = Path("mlartifacts").absolute().as_uri() if tracking_uri().startswith(SQLITE) else None
        experiment = client.get_experiment(client.create_experiment(experiment_name(), artifact_location=beside))
    found = client.search_runs([experiment.experiment_id], f"tags.{DIGEST_TAG} = '{digest}'", max_results=1)
    if found:
        return found[0]
    tags = collect_tags() | {DIGEST_TAG: digest}
    return client.create_run(experiment.experiment_id, tags=tags, run_name=f"candidate {tags['git_commit'][:7]}")


def log_metrics(client: "MlflowClient", run_id: str) -> None:
    """Log the metrics of the stages; those of drift are named `recent_*` and absent when drift was not measured."""
    from mlflow.entities import Metric

    measured = flatten(json.loads((METRICS / "train_model.json").read_text()))
    training_set = json.loads((METRICS / "build_training_set.json").read_text())
    measured |= flatten({"as_of": training_set["as_of_dates"]})
    drift = json.loads((METRICS / "detect_drift.json").read_text())
    recent = {name: drift[name] for name in DRIFT_FIGURES if name in drift} | {"alarms": len(drift["alarms"])}
    measured |= {f"recent_{name}": value for name, value in recent.items()}
    numbers = {name: float(value) for name, value in measured.items() if isinstance(value, int | float)}
    client.log_batch(run_id, metrics=[Metric(name, value, 0, 0) for name, value in numbers.items()])


def log_contents(client: "MlflowClient", run: "Run", params: dict[str, Any]) -> None:
    """Log parameters, training data, explanation, plots, the Spark model and the scorer."""
    from mlflow.entities import Param

    run_id = run.info.run_id
    client.log_batch(run_id, params=[Param(name, str(value)[:6000]) for name, value in flatten(params).items()])
    client.log_artifact(run_id, str(CARD))
    for folder, name in (Path("reports/explainability"), "explainability"), (PLOTS, "plots"):
        # File by file: Snakemake leaves a hidden timestamp in the folders.
        for path in sorted(folder.glob("[!.]*")):
            client.log_artifact(run_id, str(path), name)
    client.log_artifacts(run_id, str(CANDIDATE / "spark"), "spark_model")
    with tempfile.TemporaryDirectory() as folder:
        save_dataset(Path(folder) / "churn_features.parquet")
        client.log_artifact(run_id, str(Path(folder) / "churn_features.parquet"), "dataset")
        save_scorer(CANDIDATE / "scorer.onnx", pq.read_table(TRAINING / "holdout.parquet"), Path(folder) / "model")
        client.log_artifacts(run_id, str(Path(folder) / "model"), "model")


def log_grid(client: "MlflowClient", run: "Run") -> None:
    """Log a child run for each grid point, named by commit and point; continue those that a killed process left."""
    from mlflow.entities import Metric, Param

    trained = json.loads((METRICS / "train_model.json").read_text())
    parent = f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    # The parent's commit: a killed run may be continued at a later one.
    commit = run.data.tags["git_commit"][:7]
    # Older children are named only by their point.
    children = {
        child.info.run_name.removeprefix(f"{commit} "): child
        for child in find_runs(client, run.info.experiment_id, parent)
    }
    for result in json.loads((PLOTS / "grid.json").read_text()):
        point = {name: result[name] for name in sorted(trained["best_params"])}
        name = ", ".join(f"{parameter} {value}" for parameter, value in point.items())
        tags = {"mlflow.parentRunId": run.info.run_id, "cv_metric": trained["cv_metric"]}
        child = children.get(name) or client.create_run(run.info.experiment_id, tags=tags, run_name=f"{commit} {name}")
        scores = [Metric(key, value, 0, 0) for key, value in result.items() if key not in point]
        client.log_batch(child.info.run_id, scores, [Param(key, str(value)) for key, value in point.items()])
        client.set_terminated(child.info.run_id)


def create_version(client: "MlflowClient", run: "Run", digest: str) -> "ModelVersion":
    """Create the version with its digest in one call, so that a kill leaves a whole version or none."""
    if not client.search_registered_models(f"name = '{model_name()}'"):
        client.create_registered_model(
            model_name(), description="Probability that a user makes no payment in the horizon."
        )
    card, cut = CARD.read_text(), "\n\n... the rest is in the run's model_card.md"
    if len(card) > LONGEST_DESCRIPTION:
        card = card[: LONGEST_DESCRIPTION - len(cut)] + cut
    source, tags = f"{run.info.artifact_uri}/model", {DIGEST_TAG: digest}
    return client.create_model_version(model_name(), source, run_id=run.info.run_id, tags=tags, description=card)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--receipt", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    register_candidate(args.receipt, read_params(args.params))


if __name__ == "__main__":
    run_command(main)
