"""The dashboard's pictures, in Vega-Lite: ROC AUC with its interval, and what pushes a user.

Written out, because Altair, which would write them, takes seconds to import.
"""

import pandas as pd
import streamlit as st

from churn.dashboard.cards import DOWN, QUIET, UP

NAMES = {"sort": None, "title": None, "axis": {"labelLimit": 170, "ticks": False, "domain": False}}


def draw_aucs(rows: pd.DataFrame) -> None:
    """Draw the ROC AUC of models below each other, each with the interval that it has.

    Parameters
    ----------
    rows : pandas.DataFrame
        `name`; `roc_auc`, `low`, `high`, 0 to 1, of which the last two may be NaN; `kind`, production or other. Drawn
        in this order.
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
    """Draw what each feature adds, in the order given; to the right is towards churn.

    Parameters
    ----------
    rows : pandas.DataFrame
        `feature`, `push`.
    title : str
        What the pushes are, with their unit.
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


def _draw(rows: pd.DataFrame, spec: dict) -> None:
    st.vega_lite_chart(rows, spec | {"width": "container"}, width="stretch")
