"""Score rows with the ONNX scorer: no Spark, no JVM."""

from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pyarrow as pa

from churn.base.command import UserError


class Scorer:
    """The model from raw feature columns to the probability of churn; made by `load_scorer`.

    Attributes
    ----------
    features : list of str
        The columns that it needs.
    """

    def __init__(self, session: onnxruntime.InferenceSession):
        self._session = session
        self.features = [feature.name for feature in session.get_inputs()]

    def score(self, frame: pd.DataFrame | pa.Table) -> np.ndarray:
        """Return the probability of churn of each row.

        Parameters
        ----------
        frame : pandas.DataFrame or pyarrow.Table
            Its columns come by name, in any order; others are ignored. None and NaN mean unknown.

        Returns
        -------
        numpy.ndarray
            float64 of shape (rows,), 0 to 1.

        Raises
        ------
        UserError
            When a feature has no column.
        """
        (probability,) = self._session.run(["churn_probability"], feature_tensors(frame, self.features))
        return probability.astype(np.float64)


def load_scorer(path: Path) -> Scorer:
    """Load scorer.onnx."""
    return Scorer(open_session(path))


def open_session(model: Path | bytes) -> onnxruntime.InferenceSession:
    """Open an ONNX model, given as a file or its bytes, on one thread."""
    options = onnxruntime.SessionOptions()
    # How rows are dealt to threads must not change the result, and a stage is to use the cores that it was given.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def feature_tensors(frame: pd.DataFrame | pa.Table, features: list[str]) -> dict[str, np.ndarray]:
    """Return the columns by name as float64 of shape (rows, 1), NaN where unknown; all must be there."""
    columns = frame.column_names if isinstance(frame, pa.Table) else list(frame.columns)
    if missing := [name for name in features if name not in columns]:
        raise UserError(
            f"The model needs the feature {', '.join(missing)}, which the table lacks; it has: {', '.join(columns)}. "
            "Compute the features with build_features, or train a model without it (train_model.leave_out)."
        )
    return {name: _as_floats(frame[name]).reshape(-1, 1) for name in features}


def _as_floats(column: pd.Series | pa.ChunkedArray) -> np.ndarray:
    if isinstance(column, pa.ChunkedArray):
        return column.cast(pa.float64()).to_numpy()
    return column.to_numpy(dtype=np.float64, na_value=np.nan)
