"""What is kept with a version in MLflow: its explanation and its model. Fetched once a version, not once a click."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from churn.base.command import UserError
from churn.dashboard.record import Version
from churn.release.registry import load_version, open_registry, tracking_uri

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel


@dataclass(frozen=True)
class Explained:
    """The global explanation of a version: the picture, and mean |SHAP| by feature."""

    picture: bytes
    mean_abs_shap: dict[str, float]


@dataclass(frozen=True)
class Loaded:
    """A version's model, the inputs of its signature, and its ONNX scorer."""

    model: "PyFuncModel"
    inputs: list[str]
    scorer: Path


def fetch_explanation(version: Version) -> Explained:
    """Return the explanation that was registered with a version.

    Raises
    ------
    UserError
        When its artifacts cannot be read.
    """
    return _fetch_explanation(tracking_uri(), version.run_id, version.number)


def fetch_model(version: Version) -> Loaded:
    """Return a version's model, ready to score.

    Raises
    ------
    UserError
        When its artifacts cannot be read.
    """
    return _fetch_model(tracking_uri(), version.run_id, version.number)


@st.cache_resource(max_entries=4, show_spinner="Fetching the explanation ...")
def _fetch_explanation(uri: str, run_id: str, number: str) -> Explained:
    try:
        with open_registry() as client, tempfile.TemporaryDirectory() as folder:
            explained = Path(client.download_artifacts(run_id, "explainability", folder))
            mean_abs_shap = json.loads((explained / "mean_abs_shap.json").read_text())
            return Explained((explained / "shap_summary.png").read_bytes(), mean_abs_shap)
    # The artifacts may be on S3 or behind the server: each store raises errors of its own.
    except Exception as error:
        raise _lost(number, "explanation", error) from error


@st.cache_resource(max_entries=2, show_spinner="Loading the model ...")
def _fetch_model(uri: str, run_id: str, number: str) -> Loaded:
    try:
        with open_registry():
            model, scorer = load_version(number)
        return Loaded(model, model.metadata.get_input_schema().input_names(), scorer)
    except Exception as error:
        raise _lost(number, "model", error) from error


def _lost(number: str, what: str, error: Exception) -> UserError:
    # What MLflow said itself, without the advice that open_registry adds for a pipeline.
    said = error.__cause__ or error
    reason = str(said).splitlines()[0].rstrip(".") if str(said) else type(said).__name__
    return UserError(
        f"The {what} of version {number} cannot be read from MLflow's artifacts ({reason}). Check that their store "
        "answers and still has them, then load this page again."
    )
