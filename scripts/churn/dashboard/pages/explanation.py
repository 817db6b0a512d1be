"""The page that explains the model in Production: the SHAP plot, and the same as a table."""

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
    """Show the page."""
    if record.production:
        version = record.production.number
        try:
            explained = fetch_explanation(record.production)
        except UserError as error:
            st.error(plain(error))
            return
        place = f"the artifacts of version {version} in MLflow"
    else:
        local = read_local()
        if local is None:
            st.info(f"There is no explanation yet: {FOLDER} is missing. Run the pipeline: make run")
            return
        explained = local
        in_production = "may not be" if record.problem else "is not"
        place = f"{FOLDER}: the newest candidate, which {in_production} in Production"
    st.write(
        "Each row is a feature, and each point in it a user of the holdout. Points on the right move the user's score "
        "towards churn, points on the left away from it. The colour shows the value of the feature."
    )
    with st.container(width=860):
        st.image(explained.picture, width="stretch", alt="SHAP values of the explained users by feature")
    source(place)
    st.subheader("As a table", anchor=False)
    show_table(explained)
    source(place, "meanings: docs/reference/features.md")


def read_local() -> Explained | None:
    """Return the explanation of the newest candidate, or None."""
    shap, picture = read_json(FOLDER / "mean_abs_shap.json"), FOLDER / "shap_summary.png"
    return Explained(picture.read_bytes(), shap) if shap and picture.exists() else None


def show_table(explained: Explained) -> None:
    """List the features, those with the largest effect first."""
    meanings = {name: feature.meaning for name, feature in (describe_payments() | describe_users()).items()}
    ordered = sorted(explained.mean_abs_shap.items(), key=lambda one: -one[1])
    rows = pd.DataFrame(
        {
            "feature": [name for name, _ in ordered],
            "mean |SHAP|": [value for _, value in ordered],
            "meaning": [meanings.get(name, "unknown: the current code has no such feature") for name, _ in ordered],
        }
    )
    largest = max(explained.mean_abs_shap.values(), default=1.0) or 1.0
    bar = st.column_config.ProgressColumn(format="%.4f", min_value=0.0, max_value=largest)
    st.dataframe(rows, hide_index=True, column_config={"mean |SHAP|": bar}, height=35 * (len(rows) + 1) + 2)
