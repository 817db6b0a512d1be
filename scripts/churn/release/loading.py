"""Load a registered version: its ONNX scorer, run by this project's own code, after its files were checked.

MLflow itself would run the Python file that is stored with the model.
"""

import tempfile
from pathlib import Path

from churn.release.model_files import check_files
from churn.release.names import model_name
from churn.scoring.scorer import Scorer, load_scorer

SCORER = Path("artifacts") / "scorer.onnx"


def load_version(version: str) -> tuple[Scorer, bytes]:
    """Return a registered version's scorer, and its content; no file is left behind.

    Raises
    ------
    UserError
        When its files are not those that were registered.
    """
    import mlflow

    registered = mlflow.MlflowClient().get_model_version(model_name(), version)
    with tempfile.TemporaryDirectory() as target:
        folder = Path(mlflow.artifacts.download_artifacts(f"models:/{model_name()}/{version}", dst_path=target))
        check_files(registered, folder)
        content = (folder / SCORER).read_bytes()
    return load_scorer(content), content
