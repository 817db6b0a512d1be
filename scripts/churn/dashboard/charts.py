"""The charts of the dashboard: ROC AUC with its interval, and the reasons for one user's score.

The Vega-Lite specifications are written by hand because Altair takes seconds to import.
"""

from typing import Any

import pandas as pd
import streamlit as st

from churn.dashboard.cards import DOWN, QUIET, UP

NAMES = {"sort": None, "title": None, "axis": {"labelLimit": 170, "ticks": False, "domain": False}}


def draw_aucs(rows: pd.DataFrame) -> None:
    """Draw the ROC AUC of several models below each other, each with its interval.

    Parameters
    ----------
    rows : pandas.DataFrame
        `name`; `roc_auc`, `low`, `high`, 0 to 1 (the last two may be NaN); `kind`, production or other. Drawn in the
        order of the rows.
    """
    scale = {"zero": False, "nice": True, "padding": 12}
    along = {"type": "quantitative", "scale": scale, "title": "ROC AUC", "axis": {"tickCount": 6}}
    auc = {"field": "roc_auc"} | along
    layers = [
        {
            "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.45},
            "encoding": {"x": {"field": "low"} | along, "x2": {"field": "high"}},
        },
        {"mark": {"type": "point", "filled": True, "size": 110, "opacity": 1}, "encoding": {"x": auc}},
        {
            "mark": {"type": "text", "dy": -14, "fontSize": 12},
            "encoding": {"x": auc, "text": {"field": "roc_auc", "type": "quantitative", "format": ".4f"}},
        },
    ]
    shared = {
        "y": {"field": "name", "type": "nominal"} | NAMES,
        "color": {
            "field": "kind",
            "type": "nominal",
            "scale": {"domain": ["production", "other"], "range": [DOWN, QUIET]},
            "legend": None,
        },
        "tooltip": [{"field": "name", "title": "model"}]
        + [{"field": name, "type": "quantitative", "format": ".4f"} for name in ("roc_auc", "low", "high")],
    }
    _draw(rows, {"height": {"step": 48}, "encoding": shared, "layer": layers})


def draw_pushes(rows: pd.DataFrame, title: str) -> None:
    """Draw a bar per feature, in the order of the rows; bars to the right are towards churn.

    Parameters
    ----------
    rows : pandas.DataFrame
        `feature`, `push`.
    title : str
        The title of the axis, with the unit of the pushes.
    """
    push = {"field": "push", "type": "quantitative", "title": title, "axis": {"tickCount": 6}}
    bars = {
        "mark": {"type": "bar", "height": 14, "cornerRadius": 2},
        "encoding": {
            "x": push,
            "y": {"field": "feature", "type": "nominal"} | NAMES,
            "color": {"condition": {"test": "datum.push > 0", "value": UP}, "value": DOWN},
            "tooltip": [{"field": "feature"}, {"field": "push", "type": "quantitative", "format": "+.4f"}],
        },
    }
    zero = {"mark": {"type": "rule", "color": QUIET}, "encoding": {"x": {"datum": 0}}}
    _draw(rows, {"height": {"step": 24}, "layer": [bars, zero]})


def _draw(rows: pd.DataFrame, spec: dict[str, Any]) -> None:
    st.vega_lite_chart(rows, spec | {"width": "container"}, width="stretch")
