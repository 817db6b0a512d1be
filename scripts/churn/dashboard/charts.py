"""The dashboard's pictures, of Altair: ROC AUC with its interval, and what pushes a user."""

import altair as alt
import pandas as pd

from churn.dashboard.cards import DOWN, QUIET, UP


def draw_aucs(rows: pd.DataFrame) -> alt.LayerChart:
    """Draw the ROC AUC of models below each other, each with the interval that it has.

    Parameters
    ----------
    rows : pandas.DataFrame
        `name`; `roc_auc`, `low`, `high`, 0 to 1, of which the last two may be NaN; `kind`, production or other. Drawn
        in this order.
    """
    names = alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=140, ticks=False, domain=False))
    scale = alt.Scale(zero=False, nice=True, padding=12)
    colour = alt.Color("kind:N", scale=alt.Scale(domain=["production", "other"], range=[DOWN, QUIET]), legend=None)
    told = [
        alt.Tooltip("name:N", title="model"),
        *(alt.Tooltip(f"{column}:Q", format=".4f") for column in ("roc_auc", "low", "high")),
    ]
    base = alt.Chart(rows).encode(y=names, color=colour, tooltip=told)
    interval = base.mark_rule(strokeWidth=3, opacity=0.45).encode(
        x=alt.X("low:Q", scale=scale, title="ROC AUC"), x2="high:Q"
    )
    point = base.mark_point(filled=True, size=110, opacity=1).encode(x=alt.X("roc_auc:Q", scale=scale))
    text = base.mark_text(dy=-14, fontSize=12).encode(
        x=alt.X("roc_auc:Q", scale=scale), text=alt.Text("roc_auc:Q", format=".4f")
    )
    return (interval + point + text).properties(height=alt.Step(48))


def draw_pushes(rows: pd.DataFrame, unit: str) -> alt.LayerChart:
    """Draw what each feature adds, the strongest first; to the right is towards churn.

    Parameters
    ----------
    rows : pandas.DataFrame
        `feature`, `push`; drawn in order.
    unit : str
        Of the pushes.
    """
    names = alt.Y("feature:N", sort=None, title=None, axis=alt.Axis(labelLimit=170, ticks=False, domain=False))
    colour = alt.condition("datum.push > 0", alt.value(UP), alt.value(DOWN))
    told = [alt.Tooltip("feature:N"), alt.Tooltip("push:Q", format="+.4f")]
    bars = (
        alt.Chart(rows)
        .mark_bar(height=14, cornerRadius=2)
        .encode(x=alt.X("push:Q", title=f"SHAP value ({unit})"), y=names, color=colour, tooltip=told)
    )
    zero = alt.Chart(pd.DataFrame({"push": [0.0]})).mark_rule(color=QUIET).encode(x="push:Q")
    return (bars + zero).properties(height=alt.Step(24))
