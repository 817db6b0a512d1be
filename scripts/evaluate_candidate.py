"""Compare the candidate with the model in Production on the candidate's holdout.

Reads
    register_candidate.json, data/training/holdout.parquet, metrics/build_training_set.json, the registry
Writes
    evaluation.json: candidate and production (version, roc_auc, ece; null for a Production that was not compared), gain
    with its interval (null unless another version is compared) and the interval's confidence, candidates_judged on this
    holdout before, gates (value, limit, passed, message), decision (promote, skip or not comparable), reason
    a tag of the candidate's version, if it is compared, such as holdout_2026-02-15_30d: which holdout has judged it
"""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

from churn.base.command import run_command
from churn.base.files import write_json
from churn.base.params import read_section
from churn.base.reading import read_json, read_table
from churn.release.comparison import join_holdout, measure_scores, read_min_delta, score_version
from churn.release.fit_to_score import is_demos
from churn.release.gates import NO_PRODUCTION, decide
from churn.release.meaning import DEMO, OWN, Meaning, rows_meaning, shares_no_drop, version_meaning
from churn.release.names import model_name
from churn.release.registry import (
    PRODUCTION,
    ROLLED_BACK_TAG,
    aliased_version,
    open_registry,
)

NOT_COMPARABLE = "not comparable"


def evaluate_candidate(
    candidate: Path, holdout: Path, training_set: Path, evaluation: Path, params: dict[str, Any]
) -> None:
    """Score the holdout with both models, if Production means the same, and write the decision.

    Parameters
    ----------
    candidate : Path
        Receipt of register_candidate.
    holdout : Path
        Table with labelled rows.
    training_set : Path
        Metrics of build_training_set: what the rows mean.
    evaluation : Path
        The JSON file to write.
    params : dict
        Section evaluate_candidate of params.yaml; the environment's CHURN_PROMOTION_MIN_DELTA overrides min_delta.

    Raises
    ------
    UserError
        When Production cannot be loaded or cannot score the holdout, or MLflow does not answer.
    """
    rows, today = read_table(holdout), rows_meaning(training_set)
    holdout_date = max(rows["as_of_date"].to_pylist())
    version = read_json(candidate)["version"]
    params = params | {"min_delta": read_min_delta(params)}
    with open_registry() as client:
        current = aliased_version(client, PRODUCTION)
        production = None if current is None else str(current.version)
        rival = None if production in (None, version) else production
        meaning = version_meaning(client, current) if current is not None and rival else None
        obstacles = find_obstacles(meaning, today, holdout_date) if rival else []
        if meaning is not None and current is not None and not meaning.source and shares_no_drop(client, current):
            obstacles.append("no drop in common with today's, so it may be the demo's")
        scored = {version, production} - {None} if not obstacles else {version}
        scores = {one: score_version(one, rows) for one in scored}
        judged = 0
        if rival and not obstacles:
            judged = join_holdout(client, version, holdout_date, today.horizon_days)
        rolled_back = client.get_model_version(model_name(), version).tags.get(ROLLED_BACK_TAG)
    content = decide(rows, scores[version], scores.get(rival), params, judged)
    if obstacles:
        content |= explain_obstacles(content, version, production, obstacles, meaning, today)
    if production == version:
        content |= {"decision": "skip", "reason": f"Version {version} is already in Production."}
    elif rolled_back is not None:
        reason = f"Version {version} was rolled back: {rolled_back}. Only make rollback or make promote brings it back."
        content |= {"decision": "skip", "reason": reason}
    measured = {one: {"version": one} | measure_scores(rows, scores.get(one)) for one in {version, production} - {None}}
    content |= {
        "candidate": measured[version],
        "production": measured.get(production),
        "min_delta": params["min_delta"],
    }
    write_json(content, evaluation, durable=True)
    print(f"{content['decision']}: {content['reason']}")


def find_obstacles(production: Meaning | None, today: Meaning, holdout_date: date) -> list[str]:
    """Return why Production and the candidate cannot be compared on the holdout; empty if they can."""
    if production is None:
        return ["no run that says what it was trained for"]
    found = production.differences(today)
    if day := production.trained_on(holdout_date):
        found.append(f"training rows of {day}, whose labels need days after the holdout's date {holdout_date}")
    return found


def explain_obstacles(
    content: dict[str, Any],
    version: str,
    production: str | None,
    obstacles: list[str],
    meaning: Meaning | None,
    today: Meaning,
) -> dict[str, Any]:
    """Return the decision and the reason for two models that are not compared."""
    if is_demos(meaning, today.source):
        opening = f"Version {production} in Production is the demo's; for a candidate of own data it counts as none."
        return {"reason": content["reason"].replace(NO_PRODUCTION, opening)}
    failed = [gate["message"] for gate in content["gates"] if not gate["passed"]]
    reason = f"The candidate cannot be compared with version {production}, which stays in Production"
    if meaning is not None and (meaning.source, today.source) == (OWN, DEMO):
        return {"decision": NOT_COMPARABLE, "reason": " ".join([f"{reason}: the candidate is the demo's.", *failed])}
    ways = (
        f"that has {'; '.join(obstacles)}. To see what the change is worth: make compare BASE=<commit of version "
        f"{production}>. To compare with Production's own parameters, trained on today's rows: make rematch. To decide "
        f'yourself: make promote VERSION={version} WHY="..."'
    )
    return {"decision": NOT_COMPARABLE, "reason": " ".join([f"{reason}: {ways}", *failed])}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidate", type=Path, required=True, help="receipt of register_candidate")
    parser.add_argument("--holdout", type=Path, required=True, help="table of holdout rows")
    parser.add_argument("--training-set", type=Path, required=True, help="metrics of build_training_set")
    parser.add_argument("--evaluation", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    params = read_section(args.params, "evaluate_candidate")
    evaluate_candidate(args.candidate, args.holdout, args.training_set, args.evaluation, params)


if __name__ == "__main__":
    run_command(main)
