"""Compute SHAP values, what each feature adds to a user's margin, from the ONNX scorer: no Spark, no JVM."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
from onnx import helper, numpy_helper

from churn.base.command import UserError
from churn.scoring.scorer import feature_tensors, open_session


@dataclass(frozen=True)
class Explanation:
    """The SHAP values of some rows.

    Attributes
    ----------
    features : list of str
        The model's features.
    values : numpy.ndarray
        What each feature adds to the margin of each row, of shape (rows, features).
    base : float
        The margin before any feature: base plus a row's values is the row's margin.
    data : numpy.ndarray
        The raw features, NaN where unknown, of shape (rows, features).
    unit : str
        Unit of values and base: `log-odds` of churn, or its `probability`.
    """

    features: list[str]
    values: np.ndarray
    base: float
    data: np.ndarray
    unit: str


def explain_rows(scorer: Path | bytes, rows: pd.DataFrame | pa.Table) -> Explanation:
    """Explain each row: exactly for a linear model, by TreeSHAP for tree ensembles.

    Parameters
    ----------
    scorer : Path or bytes
        scorer.onnx of a candidate, or the content of a registered version's.
    rows : pandas.DataFrame or pyarrow.Table
        With a column for each feature of the model.

    Raises
    ------
    UserError
        When a feature's column is missing, or the scorer is not from `churn.training.onnx_export`.
    """
    model = onnx.load(scorer) if isinstance(scorer, Path) else onnx.load_model_from_string(scorer)
    features = [feature.name for feature in model.graph.input]
    constants = {constant.name: numpy_helper.to_array(constant) for constant in model.graph.initializer}
    nodes = {node.output[0]: node for node in model.graph.node}
    if "margin" not in nodes:
        raise UserError(
            f"{scorer if isinstance(scorer, Path) else 'The scorer'} cannot be explained: it is from an earlier "
            "release. Train and promote a new candidate."
        )
    tensors = feature_tensors(rows, features)
    # Run the graph up to the classifier's input.
    model.graph.output.append(helper.make_empty_tensor_value_info("scaled"))
    (scaled,) = open_session(model.SerializeToString()).run(["scaled"], tensors)
    if "coefficients" in constants:
        # Scaled values are centred, so they already are distances from the training means.
        values, base = scaled * constants["coefficients"][:, 0], float(constants["intercept"][0])
    else:
        values, base = _explain_trees(nodes["sum"], scaled)
    unit = "log-odds" if nodes["probability"].op_type == "Sigmoid" else "probability"
    return Explanation(features, values, base, np.hstack([tensors[name] for name in features]), unit)


def _explain_trees(ensemble: onnx.NodeProto, scaled: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the SHAP values and the base value of rows by the trees of an ONNX ensemble."""
    # Imported here because it takes seconds.
    import shap

    explainer = shap.TreeExplainer({"trees": _read_trees(ensemble)}, feature_perturbation="tree_path_dependent")
    return explainer.shap_values(scaled, check_additivity=False), float(np.ravel(explainer.expected_value)[0])


def _read_trees(ensemble: onnx.NodeProto) -> list[dict[str, Any]]:
    """Return the trees in shap's format."""
    attribute: dict[str, Any] = {one.name: helper.get_attribute_value(one) for one in ensemble.attribute}
    number, left, right, feature = (
        np.array(attribute[f"nodes_{name}"]) for name in ("treeids", "truenodeids", "falsenodeids", "featureids")
    )
    leaf = np.array(attribute["nodes_modes"]) == b"LEAF"
    threshold, cover = (numpy_helper.to_array(attribute[f"nodes_{name}_as_tensor"]) for name in ("values", "hitrates"))
    value = np.zeros(len(number))
    value[leaf] = numpy_helper.to_array(attribute["target_weights_as_tensor"])
    trees = []
    for nodes in (number == tree for tree in np.unique(number)):
        inner = ~leaf[nodes]
        trees.append(
            {
                "children_left": np.where(inner, left[nodes], -1),
                "children_right": np.where(inner, right[nodes], -1),
                "children_default": np.where(inner, left[nodes], -1),
                "features": np.where(inner, feature[nodes], -1),
                "thresholds": threshold[nodes],
                "values": value[nodes].reshape(-1, 1),
                "node_sample_weight": cover[nodes],
            }
        )
    return trees
