"""Promote the candidate to Production if the evaluation says so; otherwise record a skip.

Reads
    evaluation.json, the registry
Writes
    an entry in the registry's ledger; the aliases `production` and `previous` of the model; tags `decision`, `reason`
    and `evaluation` (the content of evaluation.json) of the candidate's version, unless it is already in Production
    promote_model.json: decision (that of evaluation.json, or held, or other branch), reason, held (whether promotions
    are held), candidate_version, production_version, previous_version (null for none)
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.base.command import UserError, run_command
from churn.base.files import write_json
from churn.base.params import read_section
from churn.base.reading import read_json
from churn.release.branch import ANY, explain_other_branch
from churn.release.ledger import PROMOTE, Entry, Move, finish_last_entry, move_production, show_hold
from churn.release.names import model_name
from churn.release.registry import PREVIOUS, PRODUCTION, ROLLED_BACK_TAG, aliased_version, open_registry, retry_once

if TYPE_CHECKING:
    from mlflow import MlflowClient

COMPARE_AGAIN = "make run"
SKIP, HELD, OTHER_BRANCH = "skip", "held", "other branch"


def promote_model(evaluation: Path, receipt: Path, branch: str = ANY) -> None:
    """Apply the decision of the evaluation, unless promotions are held or this branch does not promote.

    Parameters
    ----------
    evaluation : Path
        The evaluation.json of evaluate_candidate.
    receipt : Path
        The JSON file to write.
    branch : str, optional
        release.branch of params.yaml: the branch that promotes; default: any.

    Raises
    ------
    UserError
        When Production has changed since the comparison, someone else promotes at the same time, or MLflow does not
        answer.
    """
    content = read_json(evaluation)
    candidate, decision, reason = content["candidate"]["version"], content["decision"], content["reason"]
    with open_registry() as client:
        last = finish_last_entry(client)
        # The alias, too: somebody may have deleted it by hand, or the version that had it.
        hold = show_hold(client)
        if decision == PROMOTE and version_number(client, PRODUCTION) != candidate:
            compared = content["production"] and content["production"]["version"]
            check_comparison(client, candidate, compared)
            if why := client.get_model_version(model_name(), candidate).tags.get(ROLLED_BACK_TAG):
                decision, reason = SKIP, f"Version {candidate} was rolled back after it was compared: {why}."
            elif other := explain_other_branch(branch):
                decision, reason = OTHER_BRANCH, f"{reason} But {other}, so Production stays."
            elif hold is not None:
                decision, reason = HELD, f"{reason} {explain_hold(hold, candidate)}"
            else:
                move = Move(PROMOTE, compared or "", candidate, previous_version=compared or "", why=reason)
                move_production(client, move, last, advice=f"Compare with the new Production: {COMPARE_AGAIN}")
        tag_version(client, candidate, content | {"decision": decision, "reason": reason})
        production, previous = version_number(client, PRODUCTION), version_number(client, PREVIOUS)
    write_json(
        {
            "decision": decision,
            "reason": reason,
            "held": hold is not None,
            "candidate_version": candidate,
            "production_version": production,
            "previous_version": previous,
        },
        receipt,
        durable=True,
    )
    now = f"Production is version {production}." if production else "No version is in Production."
    print(f"{decision}: {reason} {now}")


def explain_hold(hold: Entry, candidate: str) -> str:
    """Return what holds promotions, and how to release them."""
    return (
        f"But promotions are held since {hold.when:%Y-%m-%d} (entry {hold.number}, {hold.action} by {hold.who}: "
        f'{hold.why}). Version {candidate} waits: make release-hold WHY="...", then make run.'
    )


def check_comparison(client: "MlflowClient", candidate: str, compared: str | None) -> None:
    """Raise `UserError` unless Production is still the version that the candidate was compared with."""
    production = version_number(client, PRODUCTION)
    if production != compared:
        raise UserError(
            f"Production of {model_name()} is now version {production}, but the candidate (version {candidate}) was "
            f"compared with version {compared}. Compare again: {COMPARE_AGAIN}"
        )


def tag_version(client: "MlflowClient", candidate: str, content: dict[str, Any]) -> None:
    """Write the decision into the version's tags; a version already in Production keeps that of its promotion."""
    itself = content["production"] is not None and content["production"]["version"] == candidate
    if itself and client.get_model_version(model_name(), candidate).tags.get("decision") == PROMOTE:
        return
    tags = {"decision": content["decision"], "reason": content["reason"], "evaluation": json.dumps(content)}
    for tag, value in tags.items():
        retry_once(client.set_model_version_tag, model_name(), candidate, tag, value)


def version_number(client: "MlflowClient", alias: str) -> str | None:
    """Return the number of the version that has an alias, None if no version has it."""
    version = aliased_version(client, alias)
    return None if version is None else str(version.version)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluation", type=Path, required=True, help="evaluation.json of evaluate_candidate")
    parser.add_argument("--receipt", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    promote_model(args.evaluation, args.receipt, read_section(args.params, "release")["branch"])


if __name__ == "__main__":
    run_command(main)
