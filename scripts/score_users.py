"""Score the users of a drop with the model in Production, with reasons for each user.

Reads
    data/features/<drop>/churn_features.parquet, metrics/build_features/<drop>.json, data/drops.yaml, the registry
Writes
    scores.parquet: user_id, as_of_date, churn_probability (0 to 1), decile (1: the tenth most likely to churn);
    reason_1 to reason_3: the features with the largest effect on the score, and push_1 to push_3, their SHAP values
    (above 0: towards churn; log-odds, but probability for a random forest); model_version; sorted by user
    scores.csv: the same for people, most likely to churn first, rounded to 4 digits
    score_users/<drop>.json: drop, model_version (null without scores, with the reason), production_version, users,
    mean_probability, files (path: SHA-256)
"""

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from churn.base.command import UserError, run_command
from churn.base.drops import read_list
from churn.base.files import write_json, write_whole
from churn.base.params import read_section
from churn.base.reading import read_json, read_table
from churn.release.branch import explain_other_branch
from churn.release.fit_to_score import is_demos, other_features
from churn.release.loading import load_version
from churn.release.meaning import Meaning, version_meaning
from churn.release.names import model_name
from churn.release.registry import PRODUCTION, aliased_version, find_versions, open_registry
from churn.scoring.deciles import deciles
from churn.scoring.explanation import Explanation, explain_rows

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

REASONS = 3


def score_users(
    features: Path,
    meaning: Path,
    drops: Path,
    scores: Path,
    receipt: Path,
    branch: str,
    version: str = "",
    promotion: Path = Path("reports/release/promote_model.json"),
) -> None:
    """Write each user's probability of churn, with reasons; without a model that can score them, only the receipt.

    Parameters
    ----------
    features : Path
        A drop's feature table.
    meaning : Path
        Metrics of build_features of that drop: what the features mean.
    drops : Path
        data/drops.yaml, which says whether the drops are the demo's.
    scores : Path
        The Parquet file to write; the CSV file is written next to it.
    receipt : Path
        The JSON file to write.
    branch : str
        release.branch of params.yaml: on other branches features may differ from those of Production.
    version : str, optional
        The version that scores; "" for Production.
    promotion : Path, optional
        Receipt of promote_model: its reason is part of the message if nobody can be scored.

    Raises
    ------
    UserError
        When the version does not exist, was trained on features of another meaning or on one that no longer exists, its
        files were changed, or MLflow does not answer.
    """
    table, source = read_table(features), read_list(drops)[0]
    decision = "" if version or not promotion.exists() else read_json(promotion)["reason"]
    with open_registry() as client:
        production = aliased_version(client, PRODUCTION)
        current = find_asked(client, version) if version else production
        found = None if current is None else version_meaning(client, current)
        why_not = explain_no_scores(
            current, found, source, read_json(meaning), branch, asked=bool(version), decision=decision
        )
        content: dict[str, Any] = {
            "drop": meaning.stem,
            "production_version": None if production is None else str(production.version),
        }
        if current is None or why_not:
            if scores.exists():
                why_not += f" {scores} is of an earlier run."
            write_json(
                content | {"model_version": None, "reason": why_not, "users": 0, "files": {}}, receipt, durable=True
            )
            print(f"No scores: {why_not}")
            return
        number = str(current.version)
        scorer, graph = load_version(number)
    if missing := [name for name in scorer.features if name not in table.column_names]:
        raise UserError(
            f"Version {number} of {model_name()} needs the feature {', '.join(missing)}, which {features} lacks. "
            "Restore it, or promote a model without it."
        )
    probability = scorer.score(table)
    columns: dict[str, Any] = {"churn_probability": probability, "decile": deciles(probability)}
    columns |= strongest_reasons(explain_rows(graph, table))
    scored = table.select(["user_id", "as_of_date"])
    for name, values in (columns | {"model_version": [number] * len(table)}).items():
        scored = scored.append_column(name, pa.array(values))
    with write_whole(scores, durable=True) as path:
        pq.write_table(scored, path, compression="zstd")
    with write_whole(scores.with_suffix(".csv"), durable=True) as path:
        pv.write_csv(for_people(scored), path)
    files = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in (scores, scores.with_suffix(".csv"))}
    content |= {"model_version": number, "reason": "", "users": len(table), "files": files}
    write_json(content | {"mean_probability": float(probability.mean())}, receipt, durable=True)
    print(f"{len(table)} users scored with {model_name()} version {number}; mean {probability.mean():.3f}")


def find_asked(client: "MlflowClient", version: str) -> "ModelVersion":
    """Return the version that was asked for; raise `UserError` if there is none."""
    known = {str(one.version): one for one in find_versions(client, model_name())}
    if version not in known:
        raise UserError(f"{model_name()} has no version {version!r}. Its versions: {', '.join(known) or 'none'}.")
    return known[version]


def explain_no_scores(
    version: "ModelVersion | None",
    meaning: Meaning | None,
    source: str,
    features: dict[str, Any],
    branch: str,
    *,
    asked: bool,
    decision: str,
) -> str:
    """Return why no users are scored, "" if they are.

    Raises
    ------
    UserError
        When the features have another meaning than those of the version, on the branch that promotes.
    """
    if version is None:
        return f"no version is in Production. {decision}".rstrip()
    if meaning is None:
        print(f"WARNING: version {version.version} has no run, so nobody knows which features it was trained on.")
        return ""
    if is_demos(meaning, source):
        return f"version {version.version} in Production is the demo's, and these are users of your own."
    what = other_features(version, meaning, features)
    if not what or explain_other_branch(branch):
        return what
    ways = (
        "restore these features, or name a version that was trained on the new ones."
        if asked
        else "restore these features (git log -p params.yaml scripts/churn/features), or put a version into Production "
        "that was trained on the new ones: make promote. The scores of earlier runs stay."
    )
    raise UserError(f"No users are scored: {what} Two ways out: {ways} {decision}".rstrip())


def strongest_reasons(explanation: Explanation) -> dict[str, NDArray[Any]]:
    """Return for each user the features with the largest SHAP values, up or down, and these values."""
    names = np.array(explanation.features)
    order = np.argsort(-np.abs(explanation.values), axis=1, kind="stable")[:, :REASONS]
    pushes = np.take_along_axis(explanation.values, order, axis=1)
    columns: dict[str, NDArray[Any]] = {}
    for number in range(order.shape[1]):
        columns |= {f"reason_{number + 1}": names[order[:, number]], f"push_{number + 1}": pushes[:, number]}
    return columns


def for_people(scored: pa.Table) -> pa.Table:
    """Sort by falling probability, and round."""
    scored = scored.sort_by([("churn_probability", "descending"), ("user_id", "ascending")])
    for number, field in enumerate(scored.schema):
        if pa.types.is_floating(field.type):
            scored = scored.set_column(number, field.name, pc.round(scored[field.name], 4))
    return scored


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, required=True, help="features of the drop")
    parser.add_argument("--meaning", type=Path, required=True, help="metrics of build_features of the drop")
    parser.add_argument("--drops", type=Path, required=True, help="list of the drops, data/drops.yaml")
    parser.add_argument("--scores", type=Path, required=True, help="Parquet file to write")
    parser.add_argument("--receipt", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--version", default="", help="the version that scores; default: Production")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    args = parser.parse_args()
    branch = read_section(args.params, "release")["branch"]
    score_users(args.features, args.meaning, args.drops, args.scores, args.receipt, branch, args.version)


if __name__ == "__main__":
    run_command(main)
