"""Turn a fitted Spark pipeline into an ONNX graph from the raw feature columns to the probability of churn."""

import contextlib
import io
from pathlib import Path

import numpy as np
import onnx
import onnxmltools
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert.common.data_types import FloatTensorType
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

# The newest in which the operators that onnxmltools writes mean what they mean in the version it states.
OPSET = 12


def export_scorer(
    model: PipelineModel, features: list[str], log_features: list[str], spark: SparkSession, target: Path
) -> None:
    """Write the scorer of a fitted pipeline.

    Parameters
    ----------
    model : pyspark.ml.PipelineModel
        Its first stage is the SQLTransformer that takes logarithms and casts to float32, which ONNX's converter does
        not know: the same is written in ONNX operators.
    features, log_features : list of str
        The raw columns in the order of the pipeline; those of them that are taken as sign(x) * log(1 + |x|).
    spark : pyspark.sql.SparkSession
        The session of the model.
    target : Path
        The ONNX file. Inputs: a double tensor of shape (rows, 1) for each feature, NaN where unknown. Output
        `churn_probability`: float of shape (rows,).
    """
    inputs = [(f"{name}_prepared", FloatTensorType([None, 1])) for name in features]
    # The converter prints what it converts.
    with contextlib.redirect_stdout(io.StringIO()):
        fitted = onnxmltools.convert_sparkml(
            PipelineModel(model.stages[1:]), "churn", inputs, target_opset=OPSET, spark_session=spark
        )
    onnx.save(_join(fitted, features, set(log_features)), target)


def _join(fitted: onnx.ModelProto, features: list[str], log_features: set[str]) -> onnx.ModelProto:
    """Put the logarithms in front of the converted stages, and the probability of churn alone behind them."""
    nodes = [node for name in features for node in _prepare(name, name in log_features)]
    last = [
        helper.make_node("Gather", ["probability", "churned"], ["churn_probability"], axis=1),
    ]
    graph = helper.make_graph(
        [*nodes, *fitted.graph.node, *last],
        "churn",
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1]) for name in features],
        [helper.make_tensor_value_info("churn_probability", TensorProto.FLOAT, [None])],
        [
            *fitted.graph.initializer,
            numpy_helper.from_array(np.array(1, dtype=np.int64), "churned"),
            numpy_helper.from_array(np.array(1, dtype=np.float64), "one"),
        ],
    )
    others = [opset for opset in fitted.opset_import if opset.domain]
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET), *others], ir_version=8, producer_name="churn-pipeline"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _prepare(name: str, log: bool) -> list[onnx.NodeProto]:
    """Return the nodes from a raw column to its float32 value, with sign(x) * log(1 + |x|) where `log`."""
    cast = helper.make_node("Cast", [f"{name}_logarithm" if log else name], [f"{name}_prepared"], to=TensorProto.FLOAT)
    if not log:
        return [cast]
    return [
        helper.make_node("Sign", [name], [f"{name}_sign"]),
        helper.make_node("Abs", [name], [f"{name}_size"]),
        helper.make_node("Add", [f"{name}_size", "one"], [f"{name}_size_and_one"]),
        helper.make_node("Log", [f"{name}_size_and_one"], [f"{name}_log_size"]),
        helper.make_node("Mul", [f"{name}_sign", f"{name}_log_size"], [f"{name}_logarithm"]),
        cast,
    ]
