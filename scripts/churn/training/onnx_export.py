"""Convert a saved Spark pipeline to an ONNX graph from the raw feature columns to the probability of churn.

The graph repeats Spark's computation in the same order and precision: doubles, but prepared values are float32, as in
Spark. So a row that lies exactly on the threshold of a tree takes the same branch in both.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from churn.training.onnx_classifiers import Part, read_numbers, read_stage

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]


def export_scorer(
    spark_model: Path,
    features: list[str],
    log_features: list[str],
    write_classifier: Callable[[Path], Part],
    target: Path,
) -> None:
    """Write the scorer of a fitted pipeline.

    Parameters
    ----------
    spark_model : Path
        The pipeline, saved by `save_spark_model`; its stages are those of `make_preparation` and a classifier.
    features, log_features : list of str
        The raw columns in the order of the pipeline; those of them that are transformed to sign(x) * log(1 + |x|).
    write_classifier : callable
        The converter of the model's family (`churn.training.families`).
    target : Path
        The ONNX file. Inputs: a double tensor of shape (rows, 1) for each feature, NaN where unknown. Output
        `churn_probability`: double of shape (rows,). Inside, `scaled` (rows, features) is the classifier's input, and
        `margin` (rows, 1) its raw output.
    """
    classifier = write_classifier(next(spark_model.glob("stages/4_*")))
    prepared = [node for name in features for node in _prepare(name, name in set(log_features))]
    scaling, constants = _scale(spark_model, features)
    graph = helper.make_graph(
        [*prepared, *scaling, *classifier.nodes],
        "churn",
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1]) for name in features],
        [helper.make_tensor_value_info("churn_probability", TensorProto.DOUBLE, [None])],
        [numpy_helper.from_array(value, name) for name, value in (constants | classifier.constants).items()],
    )
    model = helper.make_model(graph, opset_imports=OPSETS, ir_version=8, producer_name="churn-pipeline")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)


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


def _scale(spark_model: Path, features: list[str]) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """Return the nodes that impute medians and scale, and their constants."""
    medians = read_stage(next(spark_model.glob("stages/1_*")))
    scaler = read_stage(next(spark_model.glob("stages/3_*")))
    nodes = [
        helper.make_node("Concat", [f"{name}_prepared" for name in features], ["prepared"], axis=1),
        helper.make_node(
            "Imputer",
            ["prepared"],
            ["filled"],
            domain="ai.onnx.ml",
            imputed_value_floats=[medians[f"{name}_prepared"][0].as_py() for name in features],
            replaced_value_float=float("nan"),
        ),
        helper.make_node("Cast", ["filled"], ["known"], to=TensorProto.DOUBLE),
        helper.make_node("Sub", ["known", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
    ]
    mean, deviation = (read_numbers(scaler[name]) for name in ("mean", "std"))
    return nodes, {"one": np.array(1.0), "mean": mean, "scale": 1 / deviation}
