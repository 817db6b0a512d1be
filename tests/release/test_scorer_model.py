"""The registered model's file alone: a small ONNX graph, loaded and asked as MLflow does it."""

import numpy as np
import onnx
import pandas as pd
import pytest
from conftest import ROOT
from mlflow.pyfunc import load_model, save_model
from onnx import TensorProto, helper


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model whose answer is the first feature, where it is known, and 0.5 elsewhere."""
    folder = tmp_path_factory.mktemp("model")
    inputs = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1]) for name in ("share", "other")]
    output = helper.make_tensor_value_info("churn_probability", TensorProto.FLOAT, [None])
    nodes = [
        helper.make_node("IsNaN", ["share"], ["unknown"]),
        helper.make_node("Where", ["unknown", "half", "share"], ["known"]),
        helper.make_node("Mul", ["other", "nothing"], ["unused"]),
        helper.make_node("Reshape", ["known", "flat"], ["double"]),
        helper.make_node("Cast", ["double"], ["churn_probability"], to=TensorProto.FLOAT),
    ]
    constants = [
        helper.make_tensor("half", TensorProto.DOUBLE, [1], [0.5]),
        helper.make_tensor("nothing", TensorProto.DOUBLE, [1], [0.0]),
        helper.make_tensor("flat", TensorProto.INT64, [1], [-1]),
    ]
    graph = helper.make_graph(nodes, "test", inputs, [output], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "s.onnx")
    source = ROOT / "scripts" / "churn" / "release" / "mlflow_model.py"
    artifacts = {"scorer": str(folder / "s.onnx")}
    save_model(folder / "model", python_model=source, artifacts=artifacts, pip_requirements=["onnxruntime"])
    return load_model(str(folder / "model"))


def test_columns_are_found_by_name_and_unknown_values_are_allowed(model):
    frame = pd.DataFrame({"extra": ["x", "y", "z"], "other": [1, 2, 3], "share": [0.25, np.nan, None]})
    assert model.predict(frame).tolist() == [0.25, 0.5, 0.5]


def test_many_rows_keep_their_order_and_zero_rows_work(model):
    share = np.random.default_rng(1).random(25_001).round(3)
    frame = pd.DataFrame({"share": share, "other": 0.0})
    assert np.allclose(model.predict(frame), share, atol=1e-6)
    assert model.predict(frame.head(0)).shape == (0,)


def test_a_missing_column_is_named(model):
    with pytest.raises(KeyError, match="other"):
        model.predict(pd.DataFrame({"share": [0.1]}))
