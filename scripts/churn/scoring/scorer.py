"""Score rows with the ONNX scorer: no Spark, no JVM."""

from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pyarrow as pa

from churn.base.command import UserError
from churn.base.failures import first_line
from churn.base.reading import AGAIN


class Scorer:
    """A model from raw feature columns to the probability of churn; created by `load_scorer`.

    Attributes
    ----------
    features : list of str
        The columns it needs.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.features = [feature.name for feature in session.get_inputs()]

    def score(self, frame: pd.DataFrame | pa.Table) -> np.ndarray:
        """Return the probability of churn of each row.

        Parameters
        ----------
        frame : pandas.DataFrame or pyarrow.Table
            Columns are found by name, in any order; extra ones are ignored. None and NaN mean unknown.

        Returns
        -------
        numpy.ndarray
            float64 of shape (rows,), 0 to 1.

        Raises
        ------
        UserError
            When a feature's column is missing.
        """
        (probability,) = self._session.run(["churn_probability"], feature_tensors(frame, self.features))
        scores: np.ndarray = probability.astype(np.float64)
        return scores


def load_scorer(model: Path | bytes) -> Scorer:
    """Load scorer.onnx, given as a file or its bytes.

    Raises
    ------
    UserError
        When the file is damaged.
    """
    if isinstance(model, bytes):
        return Scorer(open_session(model))
    content = model.read_bytes()
    try:
        return Scorer(open_session(content))
    except Exception as error:
        # ONNX Runtime has ten kinds of errors, without a common class.
        raise UserError(f"{model} is damaged ({first_line(error)}). {AGAIN}") from None


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """Open an ONNX model on one thread."""
    options = onnxruntime.SessionOptions()
    # One thread, so that the split of rows over threads cannot change results, and a stage uses only its own cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def feature_tensors(frame: pd.DataFrame | pa.Table, features: list[str]) -> dict[str, np.ndarray]:
    """Return each feature's column as float64 of shape (rows, 1), NaN where unknown."""
    columns = frame.column_names if isinstance(frame, pa.Table) else list(frame.columns)
    if missing := [name for name in features if name not in columns]:
        raise UserError(
            f"The model needs the feature {', '.join(missing)}, which the table lacks; it has: {', '.join(columns)}. "
            "Compute the features with build_features, or train a model without it (train_model.leave_out)."
        )
    return {name: _as_floats(frame[name]).reshape(-1, 1) for name in features}


def _as_floats(column: pd.Series | pa.ChunkedArray) -> np.ndarray:
    if isinstance(column, pa.ChunkedArray):
        values: np.ndarray = column.cast(pa.float64()).to_numpy()
        return values
    return column.to_numpy(dtype=np.float64, na_value=np.nan)
