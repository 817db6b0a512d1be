"""Score the users of a drop with the model in Production.

Reads
    data/features/<drop>/churn_features.parquet, the registry
Writes
    scores.parquet: user_id, as_of_date, churn_probability (0 to 1), decile (1: the tenth most likely to churn),
    model_version; sorted by user
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from churn.command import UserError, run_command
from churn.files import write_whole
from churn.registry import MODEL, PRODUCTION, aliased_version, open_registry


def score_users(features: Path, scores: Path) -> None:
    """Write the probability of churn of every user in `features`.

    Raises
    ------
    UserError
        When there is no Production, it needs a column that is gone, or MLflow does not answer.
    """
    table = pq.read_table(features)
    with open_registry() as client:
        production = aliased_version(client, PRODUCTION)
        if production is None:
            raise UserError(f"{MODEL} has no version with the alias {PRODUCTION!r}; promote one: snakemake --cores all")
        probability = predict(str(production.version), table)
    scored = table.select(["user_id", "as_of_date"])
    scored = scored.append_column("churn_probability", pa.array(probability))
    scored = scored.append_column("decile", pa.array(deciles(probability)))
    scored = scored.append_column("model_version", pa.array([str(production.version)] * len(table)))
    with write_whole(scores) as path:
        pq.write_table(scored, path, compression="zstd")
    print(f"{len(table)} users scored with {MODEL} version {production.version}; mean {probability.mean():.3f}")


def predict(version: str, table: pa.Table) -> np.ndarray:
    """Return the probability of churn of each row by a registered version, float64 of shape (rows,)."""
    import mlflow

    model = mlflow.pyfunc.load_model(f"models:/{MODEL}/{version}")
    needed = model.metadata.get_input_schema().input_names()
    if missing := [name for name in needed if name not in table.column_names]:
        raise UserError(
            f"Version {version} of {MODEL} needs the feature {', '.join(missing)}, which the drop's features lack. "
            "Bring it back, or promote a model without it."
        )
    return model.predict(table.select(needed).to_pandas())


def deciles(probability: np.ndarray) -> np.ndarray:
    """Return tenths of the users by falling probability: 1 (most likely to churn) to 10; ties in row order."""
    order = np.argsort(-probability, kind="stable")
    tenth = np.empty(len(probability), dtype=np.int32)
    tenth[order] = np.arange(len(probability)) * 10 // max(len(probability), 1) + 1
    return tenth


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, required=True, help="features of the drop")
    parser.add_argument("--scores", type=Path, required=True, help="Parquet file to write")
    args = parser.parse_args()
    score_users(args.features, args.scores)


if __name__ == "__main__":
    run_command(main)
