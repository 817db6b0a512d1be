"""Write the drift of every week: as data for `dvc plots`, and as a picture."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from churn.base.files import write_json
from churn.drift.measures import PREDICTION
from churn.pictures import MAIN, OTHER, save_picture

LONGEST_LABELLED = 30


def save_history(weeks: list[dict[str, Any]], drift_share: float, folder: Path) -> None:
    """Write history.json (one record per week), distances.json (one per week and column) and history.png.

    Parameters
    ----------
    weeks : list of dict
        For each drop from the second on, oldest first: `drop`, the result of `compare_drops`, and `alarms`.
    drift_share : float
        Drift is detected when at least this share of the columns drifted.
    folder : Path
        The folder to create. Without a distance there is no picture.
    """
    folder.mkdir()
    write_json([describe_week(week) for week in weeks], folder / "history.json")
    write_json([record for week in weeks for record in list_distances(week)], folder / "distances.json")
    if any(list_distances(week) for week in weeks):
        draw_history(weeks, drift_share, folder / "history.png")


def describe_week(week: dict[str, Any]) -> dict[str, Any]:
    """Summarise a week in numbers; what could not be measured is absent."""
    figures = {"drop": week["drop"], "users": week["rows"], "alarms": len(week["alarms"])}
    if "drift_share" in week:
        parts = [record["statistic"] / record["threshold"] for record in week["columns"] if "statistic" in record]
        figures |= {"drift_share": week["drift_share"], "largest_part_of_limit": max(parts)}
    if week["prediction"]:
        figures["prediction_distance"] = week["prediction"]["statistic"]
    return figures


def list_distances(week: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the distances of a week's measured columns, with the candidate's scores last."""
    records = [*week["columns"], *([week["prediction"]] if week["prediction"] else [])]
    return [
        {
            "drop": week["drop"],
            "column": record["column"],
            "distance": record["statistic"],
            "threshold": record["threshold"],
        }
        for record in records
        if "statistic" in record
    ]


def draw_history(weeks: list[dict[str, Any]], drift_share: float, path: Path) -> None:
    """Draw the share of drifted columns per week, and below it each column's distance relative to its limit."""
    distances = [record for week in weeks for record in list_distances(week)]
    columns = list(dict.fromkeys(record["column"] for record in distances))
    drops = [week["drop"] for week in weeks]
    figure, (share, grid) = plt.subplots(
        2,
        1,
        sharex=True,
        figsize=(9, 3 + 0.24 * len(columns)),
        height_ratios=[2, 0.24 * len(columns) + 0.1],
        layout="constrained",
    )
    share.plot([week.get("drift_share", np.nan) for week in weeks], color=MAIN, marker="o", label="drifted columns")
    share.axhline(drift_share, color=OTHER, linestyle="--", label="limit")
    share.set(ylim=(-0.03, 1.03), ylabel="share", title="Drift of each drop, compared with earlier drops")
    share.legend(loc="upper left")
    _draw_distances(grid, distances, columns, drops)
    plt.colorbar(grid.images[0], ax=grid, label="distance / limit", extend="max")
    every = max(1, len(drops) // LONGEST_LABELLED + 1)
    grid.set_xticks(range(0, len(drops), every), drops[::every], rotation=90)
    save_picture(figure, path)


def _draw_distances(axes: Axes, distances: list[dict[str, Any]], columns: list[str], drops: list[str]) -> None:
    of_limit = np.full((len(columns), len(drops)), np.nan)
    for record in distances:
        of_limit[columns.index(record["column"]), drops.index(record["drop"])] = (
            record["distance"] / record["threshold"]
        )
    axes.imshow(of_limit, aspect="auto", cmap="YlOrRd", vmin=0, vmax=2, interpolation="nearest")
    names = ["the candidate's scores" if name == PREDICTION else name for name in columns]
    axes.set_yticks(range(len(columns)), names, fontsize=8)
    for row, column in zip(*np.nonzero(of_limit >= 1), strict=True):
        axes.text(column, row, "!", ha="center", va="center", fontweight="bold")
