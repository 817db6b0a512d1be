"""The model's Spark pipeline: create its stages, score with it, and save it with the same bytes every time."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import Imputer, SQLTransformer, StandardScaler, VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql.functions import col

from churn.base.reading import read_table
from churn.engines.spark.session import hadoop_path

UID = re.compile(r"([A-Za-z]+)_[0-9a-f]{12}(?![0-9a-f])")


def make_preparation(features: Sequence[str], log_features: Sequence[str]) -> Pipeline:
    """Return the stages from the raw feature columns to the vector `scaled`.

    All columns are cast to float32 first, as in the scorer, so that both see the same numbers.
    """
    prepared, known = ([f"{name}_{step}" for name in features] for step in ("prepared", "known"))
    return Pipeline(
        stages=[
            SQLTransformer(statement=_prepare_statement(features, log_features)),
            # Unknown values become the median of the known ones; a few large amounts would distort the mean.
            Imputer(strategy="median", inputCols=prepared, outputCols=known),
            VectorAssembler(inputCols=known, outputCol="assembled"),
            # Centred, so that a coefficient times the scaled value is a distance from the training mean.
            StandardScaler(withMean=True, inputCol="assembled", outputCol="scaled"),
        ]
    )


def prepare_rows(preparation: PipelineModel, frame: DataFrame) -> DataFrame:
    """Return `scaled` and `label`, computed once and stored.

    A checkpoint, not a cache: with a cache, Spark would send the whole lineage along with every pass over the frame.
    """
    return preparation.transform(frame).select("scaled", "label").localCheckpoint()


def score_rows(models: Sequence[Any], frame: DataFrame) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the label of each row, and its probability of churn by each classifier; each of shape (rows,)."""
    columns = [f"probability_{number}" for number in range(len(models))]
    for model, column in zip(models, columns, strict=True):
        # All models in one pass over the rows, without the columns that are not needed.
        settings = {model.probabilityCol: column, model.rawPredictionCol: "", model.predictionCol: ""}
        frame = model.transform(frame, settings)
    scored = frame.select("label", *(vector_to_array(col(column))[1].alias(column) for column in columns)).toArrow()
    return scored["label"].to_numpy(), [scored[column].to_numpy() for column in columns]


def save_spark_model(model: PipelineModel, folder: Path) -> None:
    """Save a fitted pipeline so that equal models give equal bytes.

    Spark writes random ids, the time, random file names and JSON in hash order; all of them are replaced by fixed
    values. `PipelineModel.load` can read the result.
    """
    model.save(hadoop_path(folder))
    for leftover in [*folder.rglob("_SUCCESS"), *folder.rglob(".*.crc")]:
        leftover.unlink()
    _rewrite_json(sorted(folder.rglob("metadata/part-*")))
    for path in sorted(folder.rglob("part-*.parquet")):
        pq.write_table(_rewrite_trees(read_table(path)), path)
    _rename_parts(folder)


def _prepare_statement(features: Sequence[str], log_features: Sequence[str]) -> str:
    formula = {name: f"sign({name}) * log1p(abs({name}))" for name in log_features}
    columns = [f"CAST({formula.get(name, name)} AS FLOAT) AS {name}_prepared" for name in features]
    return f"SELECT *, {', '.join(columns)} FROM __THIS__"


def _rewrite_json(paths: list[Path]) -> None:
    """Make the stages' metadata and folder names the same every time."""
    fix = _Fixer()
    for path in paths:
        path.write_text(fix.metadata(path.read_text()) + "\n")
    for path in {path.parents[1] for path in paths}:
        path.rename(path.with_name(fix.uids(path.name)))


def _rewrite_trees(table: pa.Table) -> pa.Table:
    """Do the same for the metadata of an ensemble's trees, and sort trees and nodes."""
    if "treeID" not in table.column_names:
        return table
    if "metadata" in table.column_names:
        table = table.sort_by("treeID")
        fixed = [_Fixer().metadata(text) for text in table["metadata"].to_pylist()]
        return table.set_column(1, table.schema.field("metadata"), pa.array(fixed))
    node = pc.struct_field(table["nodeData"], "id")
    return table.take(pc.sort_indices(table.append_column("id", node), [("treeID", "ascending"), ("id", "ascending")]))


class _Fixer:
    """Sort keys, set the time to 0, and replace random ids by numbers in the order of their appearance."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def uids(self, text: str) -> str:
        return UID.sub(lambda found: f"{found[1]}_{self._numbers.setdefault(found[0], len(self._numbers)):012x}", text)

    def metadata(self, text: str) -> str:
        content = json.loads(text) | {"timestamp": 0}
        # PySpark's default seed differs in every process; the seed that was used is in the paramMap.
        content["defaultParamMap"].pop("seed", None)
        return self.uids(json.dumps(content, sort_keys=True))


def _rename_parts(folder: Path) -> None:
    """Remove the random part from part-00000-<random>-c000.snappy.parquet."""
    for path in sorted(folder.rglob("part-*")):
        path.rename(path.with_name(path.name[: len("part-00000")] + path.suffix))
