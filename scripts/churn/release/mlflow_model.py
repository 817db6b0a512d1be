"""The registered model: an MLflow pyfunc around the ONNX scorer. No Spark, no JVM, no pickle.

MLflow stores this file with the model and runs it when the model is loaded, so it imports nothing from this project:
a registered model scores as it did when it was registered, whatever has changed in this repository since.
"""

from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from numpy.typing import NDArray

# This many rows stay in the processor's cache from one operator of the graph to the next.
ROWS_AT_A_TIME = 10_000


class ChurnScorer(PythonModel):
    """Return the probability of churn from the feature columns, which are found by name, in any order."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the ONNX file of the artifact `scorer`."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            context.artifacts["scorer"], options, providers=["CPUExecutionProvider"]
        )

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> NDArray[np.float64]:
        """Score every row.

        Parameters
        ----------
        model_input : pandas.DataFrame
            One column for each input of the scorer, NaN or None where unknown. Other columns are ignored.
        params : dict, optional
            Not used; part of MLflow's interface.

        Returns
        -------
        numpy.ndarray
            float64 of shape (rows,): the probability of churn, 0 to 1.
        """
        columns = {
            feature.name: model_input[feature.name].to_numpy(dtype=np.float64, na_value=np.nan).reshape(-1, 1)
            for feature in self.session.get_inputs()
        }
        probability = np.empty(len(model_input))
        for start in range(0, len(probability), ROWS_AT_A_TIME):
            rows = slice(start, start + ROWS_AT_A_TIME)
            (result,) = self.session.run(
                ["churn_probability"], {name: values[rows] for name, values in columns.items()}
            )
            probability[rows] = result.reshape(-1)
        return probability


set_model(ChurnScorer())
