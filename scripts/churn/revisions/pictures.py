"""The pictures of a comparison: both models' curves in one picture, and each revision's plots side by side."""

import io
import json
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from churn.pictures import CHANCE, MAIN, OTHER, save_picture
from churn.revisions.revision import MissingOutputError, Revision

PLOTS = "plots/train_model"
COLOURS = (OTHER, MAIN)


def collect_pictures(base: Revision, head: Revision) -> tuple[dict[str, list[tuple[str, bytes]]], list[str]]:
    """Return the pictures with their revisions by title, and a sentence for each revision whose pictures are missing.

    A picture that is the same in both revisions is shown once.
    """
    drawn: dict[str, dict[str, bytes]] = {}
    curves: dict[str, dict[str, list[dict[str, Any]]]] = {}
    missing: list[str] = []
    for one in (base, head):
        try:
            drawn[one.name] = one.read_output(PLOTS, ".png")
            curves[one.name] = {name: json.loads(text) for name, text in one.read_output(PLOTS, ".json").items()}
        except MissingOutputError as error:
            missing.append(f"{error}.")
    pictures = {}
    if len(curves) == 2 and all({"roc.json", "calibration.json"} <= found.keys() for found in curves.values()):
        pictures["Both in one picture"] = [(" and ".join(curves), draw_overlay(curves))]
    for name in sorted({name for found in drawn.values() for name in found}):
        owners = [(who, found[name]) for who, found in drawn.items() if name in found]
        if len(owners) == 2 and owners[0][1] == owners[1][1]:
            owners = [("the same in both", owners[0][1])]
        pictures[name.removesuffix(".png").replace("_", " ")] = owners
    return pictures, missing


def draw_overlay(curves: dict[str, dict[str, list[dict[str, Any]]]]) -> bytes:
    """Return a PNG of the ROC curves and the calibration of two models, each on the holdout of its own revision."""
    figure, (roc, calibration) = plt.subplots(1, 2, figsize=(12, 6), layout="constrained")
    for (name, found), colour, style in zip(curves.items(), COLOURS, ("-", "--"), strict=True):
        draw_line(
            roc, found["roc.json"], "false_positive_rate", "true_positive_rate", color=colour, ls=style, label=name
        )
        points = {"color": colour, "ls": style, "marker": "o", "label": name}
        draw_line(calibration, found["calibration.json"], "mean_prediction", "churn_rate", **points)
    for axes, title, x, y in (
        (roc, "ROC curve", "False positive rate", "True positive rate"),
        (calibration, "Calibration", "Predicted probability of churn, mean of each tenth", "Share that churned"),
    ):
        axes.plot([0, 1], [0, 1], color=CHANCE, ls=":")
        axes.set(title=title, xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
    picture = io.BytesIO()
    save_picture(figure, picture)
    return picture.getvalue()


def draw_line(axes: Axes, records: list[dict[str, Any]], x: str, y: str, **style: Any) -> None:
    """Draw one curve."""
    axes.plot([record[x] for record in records], [record[y] for record in records], **style)
