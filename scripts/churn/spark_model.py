"""The Spark pipeline of the model: its stages, how it scores, and how it is saved as the same bytes every time."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from pyspark.ml import Model, Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import Imputer, SQLTransformer, StandardScaler, VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame

UID = re.compile(r"([A-Za-z]+)_[0-9a-f]{12}(?![0-9a-f])")


def make_preparation(features: Sequence[str], log_features: Sequence[str]) -> Pipeline:
    """Return the stages from the raw feature columns to the vector `scaled`.

    All columns become float32 first: the scorer computes in float32, and both shall see the same numbers.
    """
    prepared, known = ([f"{name}_{step}" for name in features] for step in ("prepared", "known"))
    return Pipeline(
        stages=[
            SQLTransformer(statement=_prepare_statement(features, log_features)),
            # An unknown value counts as the median of the known ones: means are drawn by a few large amounts.
            Imputer(strategy="median", inputCols=prepared, outputCols=known),
            VectorAssembler(inputCols=known, outputCol="assembled"),
            # Centred, so that a coefficient times the scaled value is the distance from the training mean.
            StandardScaler(withMean=True, inputCol="assembled", outputCol="scaled"),
        ]
    )


def make_estimator(point: dict) -> LogisticRegression:
    """Return the untrained classifier of one point of the grid: the only place that names its family."""
    # At Spark's own 1e-6 the fits take twice as many passes, and no ROC AUC differs in its third digit.
    return LogisticRegression(featuresCol="scaled", tol=1e-4, **point)


def prepare_rows(preparation: PipelineModel, frame: DataFrame) -> DataFrame:
    """Return `scaled` and `label`, computed once and kept.

    A checkpoint, not a cache: with every pass over a frame Spark sends along all that it was made from.
    """
    return preparation.transform(frame).select("scaled", "label").localCheckpoint()


def score_rows(models: Sequence[Model], frame: DataFrame) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the label of each row and its probability of churn by each model, each of shape (rows,)."""
    columns = [f"probability_{number}" for number in range(len(models))]
    for model, column in zip(models, columns, strict=True):
        # All models in one pass over the rows, and without the columns that no one asks for.
        settings = {model.probabilityCol: column, model.rawPredictionCol: "", model.predictionCol: ""}
        frame = model.transform(frame, settings)
    scored = frame.select("label", *(vector_to_array(column)[1].alias(column) for column in columns)).toArrow()
    return scored["label"].to_numpy(), [scored[column].to_numpy() for column in columns]


def save_spark_model(model: PipelineModel, folder: Path) -> None:
    """Save a fitted pipeline so that equal models give equal bytes.

    Spark writes random ids, the time, random file names and JSON in hash order; all of them are replaced by fixed
    ones. `PipelineModel.load` reads the folder as it reads Spark's own.
    """
    model.save(folder.absolute().as_uri())
    for leftover in [*folder.rglob("_SUCCESS"), *folder.rglob(".*.crc")]:
        leftover.unlink()
    _rewrite_json(sorted(folder.rglob("metadata/part-*")))
    for path in sorted(folder.rglob("data/part-*")):
        pq.write_table(pq.read_table(path), path)
    _rename_parts(folder)


def _prepare_statement(features: Sequence[str], log_features: Sequence[str]) -> str:
    formula = {name: f"sign({name}) * log1p(abs({name}))" for name in log_features}
    columns = [f"CAST({formula.get(name, name)} AS FLOAT) AS {name}_prepared" for name in features]
    return f"SELECT *, {', '.join(columns)} FROM __THIS__"


def _rewrite_json(paths: list[Path]) -> None:
    """Sort the keys, set the time to 0 and number the ids in the order in which they come."""
    numbers: dict[str, int] = {}

    def fix_uid(found: re.Match) -> str:
        return f"{found.group(1)}_{numbers.setdefault(found.group(), len(numbers)):012x}"

    for path in paths:
        content = json.loads(path.read_text()) | {"timestamp": 0}
        path.write_text(UID.sub(fix_uid, json.dumps(content, sort_keys=True)) + "\n")
    for path in {path.parents[1] for path in paths}:
        path.rename(path.with_name(UID.sub(fix_uid, path.name)))


def _rename_parts(folder: Path) -> None:
    """Take the random part out of part-00000-<random>-c000.snappy.parquet."""
    for path in sorted(folder.rglob("part-*")):
        path.rename(path.with_name(path.name[: len("part-00000")] + path.suffix))
