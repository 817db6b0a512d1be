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
from churn.release.registry import open_registry, tracking_uri

if TYPE_CHECKING:
    from churn.scoring.scorer import Scorer


@dataclass(frozen=True)
class Explained:
    """The global explanation of a version: a SHAP plot, and the mean |SHAP| of each feature."""

    picture: bytes
    mean_abs_shap: dict[str, float]


@dataclass(frozen=True)
class Loaded:
    """A version's ONNX scorer, and its content."""

    scorer: "Scorer"
    content: bytes


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
    # Imported here, as ONNX is slow to import.
    from churn.release.loading import load_version

    try:
        with open_registry():
            return Loaded(*load_version(number))
    except Exception as error:
        raise _unreadable(number, "model", error) from error


def _unreadable(number: str, what: str, error: Exception) -> UserError:
    # MLflow's own message, without the advice that open_registry adds for the pipeline.
    reason = explain_cause(error.__cause__ or error).rstrip(".")
    return UserError(
        f"Cannot read the {what} of version {number} from MLflow's artifacts ({reason}). Check that the artifact store "
        "is running and still has it, then reload this page."
    )
