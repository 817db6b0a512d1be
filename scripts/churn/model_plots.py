"""The plots of a trained model: pictures, and the same as data for `dvc plots`."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from churn.evaluation import average_precision, calibration, precision_recall_curve, roc_auc, roc_curve
from churn.files import write_json

MODEL, BASELINE, CHANCE = "#1f6feb", "#d9822b", "#8c8c8c"
CURVE_POINTS = 200
Scored = Curve = tuple[np.ndarray, np.ndarray]


def save_plots(model: Scored, baseline: Scored, grid: list[dict], best: dict, folder: Path) -> None:
    """Write roc, precision_recall, calibration and grid, each as .json and .png.

    Parameters
    ----------
    model, baseline : tuple of numpy.ndarray
        Label (1 for churned) and score of the holdout's rows, of the model and of the baseline `rfm_logistic`.
    grid : list of dict
        A record for each grid point: its parameters, `cv_roc_auc`, and `fold_<n>`, the ROC AUC in each fold.
    best : dict
        The record of the chosen point.
    folder : Path
        The folder to make.
    """
    folder.mkdir()
    write_json(_records(roc_curve(*model), "false_positive_rate", "true_positive_rate"), folder / "roc.json")
    write_json(_records(precision_recall_curve(*model), "recall", "precision"), folder / "precision_recall.json")
    write_json(calibration(*model), folder / "calibration.json")
    write_json(grid, folder / "grid.json")
    _draw(folder / "roc.png", lambda axes: draw_roc(axes, model, baseline))
    _draw(folder / "precision_recall.png", lambda axes: draw_precision_recall(axes, model, baseline))
    _draw(folder / "calibration.png", lambda axes: draw_calibration(axes, *model))
    _draw(folder / "grid.png", lambda axes: draw_grid(axes, grid, best), width=8, height=1.4 + 0.3 * len(grid))


def thin(curve: Curve) -> Curve:
    """Keep at most 200 points of a curve, spread evenly along x, with both ends."""
    x, y = curve
    kept = np.unique([*np.searchsorted(x, np.linspace(x[0], x[-1], CURVE_POINTS - 1)), len(x) - 1])
    return x[kept], y[kept]


def draw_roc(axes: Axes, model: Scored, baseline: Scored) -> None:
    """Draw the ROC curve beside the baseline's and chance."""
    axes.plot(*thin(roc_curve(*model)), color=MODEL, linewidth=2, label=f"model: AUC {roc_auc(*model):.3f}")
    label = f"recency, frequency, amount: AUC {roc_auc(*baseline):.3f}"
    axes.plot(*thin(roc_curve(*baseline)), color=BASELINE, label=label)
    axes.plot([0, 1], [0, 1], color=CHANCE, linestyle="--", label="chance: AUC 0.500")
    axes.set(
        title="Who will churn? ROC curve on the holdout",
        xlabel="False positive rate: share of the users who stay that is flagged",
        ylabel="True positive rate: share of the churners that is flagged",
    )
    _unit_square(axes)
    axes.legend(loc="lower right")


def draw_precision_recall(axes: Axes, model: Scored, baseline: Scored) -> None:
    """Draw precision against recall beside the baseline's and chance, the churn rate."""
    for scored, colour, width, name in (
        (model, MODEL, 2, "model"),
        (baseline, BASELINE, 1.5, "recency, frequency, amount"),
    ):
        label = f"{name}: AUC {average_precision(*scored):.3f}"
        axes.plot(*thin(precision_recall_curve(*scored)), color=colour, linewidth=width, label=label)
    rate = float(model[0].mean())
    axes.axhline(rate, color=CHANCE, linestyle="--", label=f"chance, the churn rate: {rate:.3f}")
    axes.set(
        title="How pure is the list? Precision and recall on the holdout",
        xlabel="Recall: share of the churners that is flagged",
        ylabel="Precision: share of the flagged users who churn",
    )
    _unit_square(axes)
    axes.legend(loc="lower left")


def draw_calibration(axes: Axes, label: np.ndarray, probability: np.ndarray) -> None:
    """Draw the churn rate of ten equal groups against the probability that was predicted for them."""
    bins = calibration(label, probability)
    predicted, happened = ([bin[name] for bin in bins] for name in ("mean_prediction", "churn_rate"))
    error = [1.96 * np.sqrt(bin["churn_rate"] * (1 - bin["churn_rate"]) / bin["users"]) for bin in bins]
    axes.plot([0, 1], [0, 1], color=CHANCE, linestyle="--", label="perfect calibration")
    axes.errorbar(
        predicted, happened, error, color=MODEL, marker="o", capsize=3, label="model, with 95% intervals of the rate"
    )
    axes.set(
        title="Are the probabilities true? Calibration on the holdout",
        xlabel=f"Predicted probability of churn, mean of each tenth (about {bins[0]['users']} users)",
        ylabel="Share of the tenth that churned",
    )
    _unit_square(axes)
    axes.legend(loc="upper left")


def draw_grid(axes: Axes, grid: list[dict], best: dict) -> None:
    """Draw the cross-validated ROC AUC of every grid point, best on top, with the fold's own values."""
    ordered = sorted(grid, key=lambda point: (point["cv_roc_auc"], point == best))
    folds = [name for name in best if name.startswith("fold_")]
    for height, point in enumerate(ordered):
        axes.plot([point[fold] for fold in folds], [height] * len(folds), "|", color=CHANCE, markersize=9)
        axes.plot(point["cv_roc_auc"], height, "o", color=BASELINE if point == best else MODEL)
    axes.plot([], [], "|", color=CHANCE, label="one fold")
    axes.plot([], [], "o", color=MODEL, label=f"mean of {len(folds)} folds")
    axes.plot([], [], "o", color=BASELINE, label=f"chosen: {best['cv_roc_auc']:.4f}")
    axes.set_yticks(range(len(ordered)), [_name_point(point) for point in ordered])
    axes.set(title="Which grid point? Cross-validation on the training rows", xlabel="ROC AUC of the held-out fold")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def _records(curve: Curve, x: str, y: str) -> list[dict]:
    return [{x: along, y: up} for along, up in np.transpose(thin(curve)).tolist()]


def _name_point(point: dict) -> str:
    names = [name for name in sorted(point) if name != "cv_roc_auc" and not name.startswith("fold_")]
    return ", ".join(f"{name} {point[name]:g}" for name in names)


def _unit_square(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    axes.grid(alpha=0.3)


def _draw(target: Path, draw: Callable[[Axes], None], width: float = 6.4, height: float = 6.4) -> None:
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    draw(axes)
    # Without the version of matplotlib, so that the bytes tell of the picture alone.
    figure.savefig(target, dpi=110, metadata={"Software": None})
    plt.close(figure)
