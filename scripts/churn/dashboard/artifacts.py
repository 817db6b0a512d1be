"""Fetch a version's explanation and model from MLflow, once per version rather than once per click."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from churn.base.command import UserError
from churn.base.reading import read_json
from churn.dashboard.record import Version
from churn.release.causes import explain_cause
from churn.release.registry import load_version, open_registry, tracking_uri

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel


@dataclass(frozen=True)
class Explained:
    """The global explanation of a version: a SHAP plot, and the mean |SHAP| of each feature."""

    picture: bytes
    mean_abs_shap: dict[str, float]


@dataclass(frozen=True)
class Loaded:
    """A version's model, its input names, and its ONNX scorer."""

    model: "PyFuncModel"
    inputs: list[str]
    scorer: bytes


def fetch_explanation(version: Version) -> Explained:
    """Return the explanation registered with a version.

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
            mean_abs_shap = read_json(explained / "mean_abs_shap.json")
            return Explained((explained / "shap_summary.png").read_bytes(), mean_abs_shap)
    # Each artifact store (S3, the MLflow server, files) raises its own types of errors.
    except Exception as error:
        raise _unreadable(number, "explanation", error) from error


@st.cache_resource(max_entries=2, show_spinner="Loading the model ...")
def _fetch_model(uri: str, run_id: str, number: str) -> Loaded:
    try:
        with open_registry():
            model, scorer = load_version(number)
        schema = model.metadata.get_input_schema()  # type: ignore[no-untyped-call]  # MLflow has no type for it
        return Loaded(model, schema.input_names(), scorer)
    except Exception as error:
        raise _unreadable(number, "model", error) from error


def _unreadable(number: str, what: str, error: Exception) -> UserError:
    # MLflow's own message, without the advice that open_registry adds for the pipeline.
    reason = explain_cause(error.__cause__ or error).rstrip(".")
    return UserError(
        f"Cannot read the {what} of version {number} from MLflow's artifacts ({reason}). Check that the artifact store "
        "is running and still has it, then reload this page."
    )
