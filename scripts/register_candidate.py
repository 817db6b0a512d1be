"""Register the candidate: one MLflow run and one model version per candidate, however often this runs.

Reads
    models/candidate, data/training, metrics, plots, reports/explainability and model_card.md, params.yaml, dvc.lock
Writes
    a run in the experiment with a child run for each grid point, and a version of the model with the model card as its
    description; both are tagged with the candidate's digest, identity and meaning, and the version also with the
    SHA-256 of its files. section `release` of params.yaml names the experiment and the model
    register_candidate.json: version, run_id, digest, identity, tracking_uri
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.base.addresses import hide_logins
from churn.base.command import run_command
from churn.base.files import write_json
from churn.base.params import read_params
from churn.base.reading import read_json, read_table
from churn.release.candidate import CANDIDATE, CARD, METRICS, PLOTS, TRAINING, save_dataset, save_scorer
from churn.release.flatten import flatten
from churn.release.identity import IDENTITY_TAG, Identity, choose_version, read_identity
from churn.release.model_files import files_tag
from churn.release.names import experiment_name, model_name
from churn.release.provenance import collect_tags
from churn.release.pseudonyms import read_key
from churn.release.registry import (
    DIGEST_TAG,
    find_runs,
    find_versions,
    open_registry,
    retry_once,
    sqlite_file,
    tracking_uri,
)
from churn.release.relocation import artifact_folder
from churn.release.run_metrics import log_drift, log_training

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

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
        When the stages have not run, MLflow does not answer, or there is no key for the pseudonyms.
    """
    candidate, key = read_identity(), read_key() if params.get("privacy", {}).get("pseudonymise") else None
    with open_registry() as client:
        version = find_version(client, candidate)
        # A run copied from an embedded store may have the same candidate.
        run = client.get_run(version.run_id) if version else find_or_start_run(client, candidate)
        if version is None:
            log_training(client, run.info.run_id)
            files = log_contents(client, run, params, key)
            log_grid(client, run)
            version = create_version(client, run, candidate.tags | files)
        log_drift(client, run.info.run_id)
        if run.info.status != "FINISHED":
            client.set_terminated(run.info.run_id)
    content = {"version": str(version.version), "run_id": run.info.run_id, "digest": candidate.digest}
    address = hide_logins(tracking_uri())
    write_json(content | {"identity": candidate.identity, "tracking_uri": address}, receipt, durable=True)
    print(f"{model_name()} version {version.version} is the candidate {candidate.digest}")


def find_version(client: "MlflowClient", candidate: Identity) -> "ModelVersion | None":
    """Return the candidate's version, the oldest if there are several.

    A version of before identities gets those tags of the candidate, so that the next change makes a new version.
    """
    versions = find_versions(client, model_name(), f"tags.`{DIGEST_TAG}` = '{candidate.digest}'")
    version = choose_version(versions, candidate.tags)
    if version is not None and IDENTITY_TAG not in version.tags:
        for tag, value in candidate.tags.items():
            retry_once(client.set_model_version_tag, model_name(), str(version.version), tag, value)
    return version


def find_or_start_run(client: "MlflowClient", candidate: Identity) -> "Run":
    """Return the candidate's run: the one that a killed process left unfinished, or a new one."""
    experiment = client.get_experiment_by_name(experiment_name())
    if experiment is None:
        database = sqlite_file(tracking_uri())
        beside = artifact_folder(database).as_uri() if database else None
        experiment = client.get_experiment(client.create_experiment(experiment_name(), artifact_location=beside))
    condition = f"tags.{IDENTITY_TAG} = '{candidate.identity}'"
    if found := client.search_runs([experiment.experiment_id], condition, max_results=1):
        return found[0]
    tags = collect_tags() | candidate.tags
    return client.create_run(experiment.experiment_id, tags=tags, run_name=f"candidate {tags['git_commit'][:7]}")


def log_contents(client: "MlflowClient", run: "Run", params: dict[str, Any], key: bytes | None) -> dict[str, str]:
    """Log parameters, training data, explanation, plots, the Spark model and the scorer; return the files' tag."""
    from mlflow.entities import Param

    run_id = run.info.run_id
    client.log_batch(run_id, params=[Param(name, str(value)[:6000]) for name, value in flatten(params).items()])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "artifacts"
        copy_outputs(folder)
        (folder / "dataset").mkdir()
        save_dataset(folder / "dataset" / "churn_features.parquet", key)
        scorer = shutil.copyfile(CANDIDATE / "scorer.onnx", Path(temporary) / "scorer.onnx")
        save_scorer(scorer, read_table(TRAINING / "holdout.parquet"), folder / "model")
        client.log_artifact(run_id, str(folder / CARD.name))
        for path in sorted(path for path in folder.iterdir() if path.is_dir()):
            client.log_artifacts(run_id, str(path), path.name)
        return files_tag(folder / "model")


def copy_outputs(folder: Path) -> None:
    """Copy the stages' outputs that are logged.

    With DVC's cache.type symlink they are links to read-only files, and MLflow refuses links to other folders.
    """
    # Snakemake leaves a hidden timestamp in the folders.
    hidden = shutil.ignore_patterns(".*")
    outputs = {"explainability": Path("reports/explainability"), "plots": PLOTS, "spark_model": CANDIDATE / "spark"}
    for name, output in outputs.items():
        shutil.copytree(output, folder / name, copy_function=shutil.copyfile, ignore=hidden)
    shutil.copyfile(CARD, folder / CARD.name)


def log_grid(client: "MlflowClient", run: "Run") -> None:
    """Log a child run for each grid point, named by commit and point; continue those that a killed process left."""
    from mlflow.entities import Metric, Param

    trained = read_json(METRICS / "train_model.json")
    parent = f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    # The parent's commit: a killed run may be continued at a later one.
    commit = run.data.tags["git_commit"][:7]
    # Older children are named only by their point.
    children = {
        child.info.run_name.removeprefix(f"{commit} "): child
        for child in find_runs(client, run.info.experiment_id, parent)
    }
    for result in read_json(PLOTS / "grid.json"):
        point = {name: result[name] for name in sorted(trained["best_params"])}
        name = ", ".join(f"{parameter} {value}" for parameter, value in point.items())
        tags = {"mlflow.parentRunId": run.info.run_id, "cv_metric": trained["cv_metric"]}
        child = children.get(name) or client.create_run(run.info.experiment_id, tags=tags, run_name=f"{commit} {name}")
        scores = [Metric(key, value, 0, 0) for key, value in result.items() if key not in point]
        client.log_batch(child.info.run_id, scores, [Param(key, str(value)) for key, value in point.items()])
        client.set_terminated(child.info.run_id)


def create_version(client: "MlflowClient", run: "Run", tags: dict[str, str]) -> "ModelVersion":
    """Create the version with its tags in one call, so that a kill leaves a whole version or none."""
    if not client.search_registered_models(f"name = '{model_name()}'"):
        client.create_registered_model(
            model_name(), description="Probability that a user makes no payment in the horizon."
        )
    card, cut = CARD.read_text(), "\n\n... the rest is in the run's model_card.md"
    if len(card) > LONGEST_DESCRIPTION:
        card = card[: LONGEST_DESCRIPTION - len(cut)] + cut
    source, run_id = f"{run.info.artifact_uri}/model", run.info.run_id
    return client.create_model_version(model_name(), source, run_id=run_id, tags=tags, description=card)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--receipt", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    register_candidate(args.receipt, read_params(args.params))


if __name__ == "__main__":
    run_command(main)
