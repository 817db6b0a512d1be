"""The registered model: an MLflow pyfunc around the ONNX scorer. No Spark, no JVM, no pickle.

MLflow stores this file with the model and runs it at loading, so it imports nothing of the project: a model in
the registry scores as on the day on which it was registered, whatever this repository has become.
"""

import numpy as np
import onnxruntime
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

# So many rows stay in the processor's cache from one operator of the graph to the next.
ROWS_AT_A_TIME = 10_000


class ChurnScorer(PythonModel):
    """Probability of churn from the feature columns, which come by name, in any order."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the ONNX file of the artifact `scorer`."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            context.artifacts["scorer"], options, providers=["CPUExecutionProvider"]
        )

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> np.ndarray:
        """Score every row.

        Parameters
        ----------
        model_input : pandas.DataFrame
            A column for each input of the scorer; NaN or None where unknown. Other columns are ignored.

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
            (answer,) = self.session.run(
                ["churn_probability"], {name: values[rows] for name, values in columns.items()}
            )
            probability[rows] = answer.reshape(-1)
        return probability


set_model(ChurnScorer())
