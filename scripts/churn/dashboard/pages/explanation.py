"""The page that explains the model in Production: the SHAP picture, and the same as a table."""

from pathlib import Path

import pandas as pd
import streamlit as st

from churn.base.command import UserError
from churn.dashboard.artifacts import Explained, fetch_explanation
from churn.dashboard.notices import plain, source
from churn.dashboard.record import Record
from churn.dashboard.run_files import read_json
from churn.features.meanings import describe_payments, describe_users

FOLDER = Path("reports/explainability")


def show(record: Record) -> None:
    """Draw the page."""
    if record.production:
        version = record.production.number
        try:
            explained = fetch_explanation(record.production)
        except UserError as error:
            st.error(plain(error))
            return
        place = f"the artifacts of version {version}'s run in MLflow"
    else:
        explained, place = read_local(), f"{FOLDER}: the newest candidate, which is not in Production"
        if explained is None:
            st.info(f"Nothing is explained yet: {FOLDER} is missing. Run the pipeline: make run")
            return
        if record.problem:
            place = f"{FOLDER}: the newest candidate, which may not be what is in Production"
    st.write(
        "Each point is one user of the holdout in the row of one feature: to the right it moves this user's score "
        "towards churn, to the left away from it; the colour is the feature's value."
    )
    with st.container(width=860):
        st.image(explained.picture, width="stretch", alt="SHAP values of the explained users by feature")
    source(place)
    st.subheader("The same as a table", anchor=False)
    show_table(explained)
    source(place, "meanings: docs/features.md")


def read_local() -> Explained | None:
    """Return the newest candidate's explanation, None when there is none."""
    shap, picture = read_json(FOLDER / "mean_abs_shap.json"), FOLDER / "shap_summary.png"
    return Explained(picture.read_bytes(), shap) if shap and picture.exists() else None


def show_table(explained: Explained) -> None:
    """List the features, what moves the model most first."""
    meanings = {name: feature.meaning for name, feature in (describe_payments() | describe_users()).items()}
    ordered = sorted(explained.mean_abs_shap.items(), key=lambda one: -one[1])
    rows = pd.DataFrame(
        {
            "feature": [name for name, _ in ordered],
            "mean |SHAP|": [value for _, value in ordered],
            "meaning": [meanings.get(name, "not a feature of today's code") for name, _ in ordered],
        }
    )
    largest = max(explained.mean_abs_shap.values(), default=1.0) or 1.0
    bar = st.column_config.ProgressColumn(format="%.4f", min_value=0.0, max_value=largest)
    st.dataframe(rows, hide_index=True, column_config={"mean |SHAP|": bar}, height=35 * (len(rows) + 1) + 2)
