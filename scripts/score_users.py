"""Score the users of a drop with the model in Production, with reasons for each user.

Reads
    data/features/<drop>/churn_features.parquet, the registry
Writes
    scores.parquet: user_id, as_of_date, churn_probability (0 to 1), decile (1: the tenth most likely to churn);
    reason_1 to reason_3: the features with the largest effect on the score, and push_1 to push_3, their SHAP values
    (above 0: towards churn; log-odds, but probability for a random forest); model_version; sorted by user
    scores.csv: the same for people, most likely to churn first, rounded to 4 digits
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from churn.base.command import UserError, run_command
from churn.base.files import write_whole
from churn.release.names import model_name
from churn.release.registry import PRODUCTION, aliased_version, load_version, open_registry
from churn.scoring.deciles import deciles
from churn.scoring.explanation import Explanation, explain_rows

REASONS = 3


def score_users(features: Path, scores: Path) -> None:
    """Write each user's probability of churn, with reasons.

    Parameters
    ----------
    features : Path
        A drop's feature table.
    scores : Path
        The Parquet file to write; the CSV file is written next to it.

    Raises
    ------
    UserError
        When no model is in Production, it needs a column that no longer exists, or MLflow does not answer.
    """
    table = pq.read_table(features)
    with open_registry() as client:
        production = aliased_version(client, PRODUCTION)
        if production is None:
            raise UserError(
                f"No version of {model_name()} has the alias {PRODUCTION!r}, so nothing can be scored. The candidate "
                "may have failed a gate of evaluate_candidate in params.yaml (see reports/release/evaluation.json); "
                "otherwise run: snakemake --cores all"
            )
        model, scorer = load_version(str(production.version))
    needed = model.metadata.get_input_schema().input_names()
    if missing := [name for name in needed if name not in table.column_names]:
        raise UserError(
            f"Version {production.version} of {model_name()} needs the feature {', '.join(missing)}, which {features} "
            "lacks. Restore it, or promote a model without it."
        )
    probability = model.predict(table.select(needed).to_pandas())
    columns: dict[str, Any] = {"churn_probability": probability, "decile": deciles(probability)}
    columns |= strongest_reasons(explain_rows(scorer, table))
    scored = table.select(["user_id", "as_of_date"])
    for name, values in (columns | {"model_version": [str(production.version)] * len(table)}).items():
        scored = scored.append_column(name, pa.array(values))
    with write_whole(scores) as path:
        pq.write_table(scored, path, compression="zstd")
    with write_whole(scores.with_suffix(".csv")) as path:
        pv.write_csv(for_people(scored), path)
    print(f"{len(table)} users scored with {model_name()} version {production.version}; mean {probability.mean():.3f}")


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
    parser.add_argument("--scores", type=Path, required=True, help="Parquet file to write")
    args = parser.parse_args()
    score_users(args.features, args.scores)


if __name__ == "__main__":
    run_command(main)
