"""Convert Spark's classifiers to ONNX: from the tensor `scaled` to `margin` and `churn_probability`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

# Spark's mark of a dense vector or matrix; 0 marks a sparse one.
DENSE = 1


@dataclass(frozen=True)
class Part:
    """Part of a graph: its nodes, and its constants by name."""

    nodes: list[onnx.NodeProto]
    constants: dict[str, np.ndarray]


def read_stage(folder: Path, table: str = "data") -> pa.Table:
    """Return a table from a pipeline stage that Spark saved."""
    return pq.read_table(folder / table)


def read_numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Return the numbers of a vector or a one-row matrix, which Spark saves as sparse when many are zero."""
    saved = column[0].as_py()
    if saved["type"] == DENSE:
        return np.array(saved["values"])
    if "size" in saved:
        size, places = saved["size"], saved["indices"]
    elif saved["isTransposed"]:
        size, places = saved["numCols"], saved["rowIndices"]
    else:
        size, places = saved["numCols"], np.flatnonzero(np.diff(saved["colPtrs"]))
    numbers = np.zeros(size)
    numbers[places] = saved["values"]
    return numbers


def write_linear(stage: Path) -> Part:
    """Convert a logistic regression; its margin is the log-odds of churn.

    Parameters
    ----------
    stage : Path
        The stage as Spark saved it.
    """
    saved = read_stage(stage)
    coefficients, intercept = (read_numbers(saved[name]) for name in ("coefficientMatrix", "interceptVector"))
    nodes = [
        helper.make_node("MatMul", ["scaled", "coefficients"], ["products"]),
        helper.make_node("Add", ["products", "intercept"], ["margin"]),
        *_probability("Sigmoid"),
    ]
    constants = {"coefficients": coefficients.reshape(-1, 1), "intercept": intercept}
    return Part(nodes, constants | SHAPE)


def write_forest(stage: Path) -> Part:
    """Convert a random forest; its margin is the probability itself, the mean over its trees."""
    trees = read_trees(stage)
    # The numbers of training rows in a node that stayed and that churned.
    counts = np.stack(trees["impurityStats"].to_numpy(zero_copy_only=False))
    shares = counts[:, 1] / counts.sum(axis=1) / pc.count_distinct(trees["treeID"]).as_py()
    return Part([*_trees(trees, shares), *_probability("Identity")], SHAPE)


def write_boosted(stage: Path) -> Part:
    """Convert gradient-boosted trees; their margin is the log-odds of churn, twice the weighted sum of the trees."""
    trees = read_trees(stage)
    weights = read_stage(stage, "treesMetadata").sort_by("treeID")["weights"].to_numpy()
    values = 2 * weights[trees["treeID"].to_numpy()] * trees["prediction"].to_numpy()
    return Part([*_trees(trees, values), *_probability("Sigmoid")], SHAPE)


def read_trees(stage: Path) -> pa.Table:
    """Return the nodes of all trees, one row each, sorted by tree and node, with the columns of Spark's `nodeData`."""
    saved = read_stage(stage)
    nodes = pa.Table.from_struct_array(saved["nodeData"])
    split = pa.Table.from_struct_array(nodes["split"])
    threshold = np.zeros(len(nodes))
    # A leaf has an empty list.
    threshold[split["featureIndex"].to_numpy() >= 0] = pc.list_flatten(split["leftCategoriesOrThreshold"]).to_numpy()
    nodes = nodes.append_column("feature", split["featureIndex"]).append_column("threshold", pa.array(threshold))
    return nodes.append_column("treeID", saved["treeID"]).sort_by([("treeID", "ascending"), ("id", "ascending")])


def _trees(trees: pa.Table, values: np.ndarray) -> list[onnx.NodeProto]:
    """Return the nodes that sum, over the trees, the value of the leaf that a row ends in."""
    number, node, left, right, feature = (
        trees[name].to_numpy() for name in ("treeID", "id", "leftChild", "rightChild", "feature")
    )
    leaf = left < 0
    regressor = helper.make_node(
        "TreeEnsembleRegressor",
        ["scaled"],
        ["sum"],
        domain="ai.onnx.ml",
        aggregate_function="SUM",
        n_targets=1,
        nodes_treeids=number,
        nodes_nodeids=node,
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_featureids=np.where(leaf, 0, feature),
        nodes_values_as_tensor=numpy_helper.from_array(trees["threshold"].to_numpy()),
        nodes_truenodeids=np.where(leaf, 0, left),
        nodes_falsenodeids=np.where(leaf, 0, right),
        # The number of training rows in each node, which TreeSHAP uses as the weights of branches.
        nodes_hitrates_as_tensor=numpy_helper.from_array(trees["rawCount"].to_numpy().astype(np.float64)),
        target_treeids=number[leaf],
        target_nodeids=node[leaf],
        target_ids=np.zeros(leaf.sum(), dtype=np.int64),
        target_weights_as_tensor=numpy_helper.from_array(values[leaf]),
    )
    return [regressor, helper.make_node("Cast", ["sum"], ["margin"], to=TensorProto.DOUBLE)]


def _probability(link: str) -> list[onnx.NodeProto]:
    """Return the nodes from the margin, of shape (rows, 1), to the probability of churn, of shape (rows,)."""
    return [
        helper.make_node(link, ["margin"], ["probability"]),
        helper.make_node("Reshape", ["probability", "rows"], ["churn_probability"]),
    ]


SHAPE = {"rows": np.array([-1])}
