"""The candidate's files on disk, and how they are packed for MLflow."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from churn.base.reading import read_table
from churn.release.pseudonyms import pseudonymise
from churn.scoring.scorer import load_scorer

CANDIDATE = Path("models/candidate")
TRAINING = Path("data/training")
METRICS = Path("metrics")
PLOTS = Path("plots/train_model")
CARD = Path("reports/model_card.md")


def save_dataset(target: Path, key: bytes | None = None) -> None:
    """Write the training and the holdout rows into one file; the column `split` says which is which.

    With a key, users have pseudonyms there.
    """
    splits = {split: read_table(TRAINING / f"{split}.parquet") for split in ("train", "holdout")}
    tables = [table.append_column("split", pa.array([split] * len(table))) for split, table in splits.items()]
    # A column without nulls may be declared so in one table only.
    table = pa.concat_tables(tables, promote_options="default")
    pq.write_table(pseudonymise(table, key) if key else table, target)


def save_scorer(scorer: Path, rows: pa.Table, target: Path) -> None:
    """Save the ONNX scorer as an MLflow pyfunc, with a signature and, from the first rows, an input example."""
    import mlflow
    import numpy
    import onnxruntime
    from mlflow.models.signature import ModelSignature
    from mlflow.types import ColSpec, Schema

    features = load_scorer(scorer).features
    mlflow.pyfunc.save_model(
        target,
        python_model=Path(__file__).with_name("mlflow_model.py"),
        artifacts={"scorer": str(scorer)},
        signature=ModelSignature(
            inputs=Schema([ColSpec("double", name) for name in features]), outputs=Schema([ColSpec("double")])
        ),
        input_example=rows.select(features).slice(0, 5).to_pandas(),
        # Listed here, because MLflow takes seconds to infer them.
        pip_requirements=[
            f"mlflow=={mlflow.__version__}",
            f"numpy=={numpy.__version__}",
            f"onnxruntime=={onnxruntime.__version__}",
        ],
    )
