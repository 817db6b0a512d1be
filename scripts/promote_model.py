"""Point the alias `production` at the candidate when the evaluation says so; record a skip otherwise.

Reads
    evaluation.json, the registry
Writes
    the aliases `production` and `previous` of churn-model; tags `decision` and `reason` of the candidate's version
    promote_model.json: decision, reason, candidate_version, production_version, previous_version
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from churn.command import UserError, run_command
from churn.files import write_json
from churn.registry import MODEL, PREVIOUS, PRODUCTION, aliased_version, open_registry

if TYPE_CHECKING:
    from mlflow import MlflowClient


def promote_model(evaluation: Path, receipt: Path) -> None:
    """Carry out the decision of the evaluation.

    Raises
    ------
    UserError
        When Production is no longer the version that was compared, or MLflow does not answer.
    """
    content = json.loads(evaluation.read_text())
    candidate = content["candidate"]["version"]
    with open_registry() as client:
        if content["decision"] == "promote":
            move_alias(client, candidate, compared=content["production"] and content["production"]["version"])
        client.set_model_version_tag(MODEL, candidate, "decision", content["decision"])
        client.set_model_version_tag(MODEL, candidate, "reason", content["reason"])
        production, previous = aliased_version(client, PRODUCTION), aliased_version(client, PREVIOUS)
    write_json(
        {
            "decision": content["decision"],
            "reason": content["reason"],
            "candidate_version": candidate,
            "production_version": str(production.version),
            "previous_version": previous and str(previous.version),
        },
        receipt,
    )
    print(f"{content['decision']}: {content['reason']} Production is version {production.version}.")


def move_alias(client: "MlflowClient", candidate: str, compared: str | None) -> None:
    """Move `production` to the candidate; the version that it replaces keeps the alias `previous`.

    `previous` is set first: killed in between, the next run finds Production as it was and starts again.
    """
    production = aliased_version(client, PRODUCTION)
    now = production and str(production.version)
    if now == candidate:
        return
    if now != compared:
        raise UserError(
            f"Production of {MODEL} is version {now} now, but version {compared} was compared with the candidate "
            f"(version {candidate}). Compare again: snakemake --cores 1 --forcerun evaluate_candidate"
        )
    if now is not None:
        client.set_registered_model_alias(MODEL, PREVIOUS, now)
    client.set_registered_model_alias(MODEL, PRODUCTION, candidate)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluation", type=Path, required=True, help="evaluation.json of evaluate_candidate")
    parser.add_argument("--receipt", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args()
    promote_model(args.evaluation, args.receipt)


if __name__ == "__main__":
    run_command(main)
