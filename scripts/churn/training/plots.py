"""Plot a trained model: as pictures, and as data for `dvc plots`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from churn.base.files import write_json
from churn.evaluation.metrics import (
    average_precision,
    calibration,
    gains_curve,
    precision_recall_curve,
    roc_auc,
    roc_curve,
)
from churn.pictures import CHANCE, MAIN, OTHER, save_picture
from churn.training.grid_search import METRICS, GridSearch

CURVE_POINTS = 200
SCORE_BINS = 20
Curve = tuple[np.ndarray, np.ndarray]


def save_plots(
    label: np.ndarray, scores: dict[str, np.ndarray], search: GridSearch, segments: list[dict[str, Any]], folder: Path
) -> None:
    """Write roc, precision_recall, calibration, gains, score_distribution, segments and grid, each as .json and .png.

    Parameters
    ----------
    label : numpy.ndarray
        For the holdout's rows: 1 for churned; shape (rows,).
    scores : dict of numpy.ndarray
        The scores of the same rows by the `model` and by the baseline `rfm_logistic`.
    search : GridSearch
        The result of cross-validation.
    segments : list of dict
        The result of `measure_segments`.
    folder : Path
        The folder to create.
    """
    folder.mkdir()
    model = label, scores["model"]
    write_json(_records(roc_curve(*model), "false_positive_rate", "true_positive_rate"), folder / "roc.json")
    write_json(_records(precision_recall_curve(*model), "recall", "precision"), folder / "precision_recall.json")
    write_json(_records(gains_curve(*model), "users_flagged", "churners_found"), folder / "gains.json")
    write_json(calibration(*model), folder / "calibration.json")
    write_json(count_scores(*model), folder / "score_distribution.json")
    write_json(segments, folder / "segments.json")
    write_json(search.results, folder / "grid.json")
    baseline = label, scores["rfm_logistic"]
    _draw(folder / "roc.png", lambda axes: draw_roc(axes, model, baseline))
    _draw(folder / "precision_recall.png", lambda axes: draw_precision_recall(axes, model, baseline))
    _draw(folder / "gains.png", lambda axes: draw_gains(axes, model, baseline))
    _draw(folder / "calibration.png", lambda axes: draw_calibration(axes, *model))
    _draw(folder / "score_distribution.png", lambda axes: draw_scores(axes, *model), height=4)
    _draw(folder / "segments.png", lambda axes: draw_segments(axes, segments), height=1.4 + 0.4 * len(segments))
    size = {"width": 8, "height": 1.4 + 0.3 * len(search.results)}
    _draw(folder / "grid.png", lambda axes: draw_grid(axes, search), **size)


def count_scores(label: np.ndarray, probability: np.ndarray) -> list[dict[str, Any]]:
    """Count churned and stayed users in twenty bins of predicted probability of equal width."""
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    churned, stayed = (np.histogram(probability[label == value], edges)[0].tolist() for value in (1, 0))
    return [
        {"from": float(low), "to": float(high), "churned": one, "stayed": zero}
        for low, high, one, zero in zip(edges[:-1], edges[1:], churned, stayed, strict=True)
    ]


def thin(curve: Curve) -> Curve:
    """Keep at most 200 points of a curve, evenly spaced along x, including both ends."""
    x, y = curve
    kept = np.unique([*np.searchsorted(x, np.linspace(x[0], x[-1], CURVE_POINTS - 1)), len(x) - 1])
    return x[kept], y[kept]


def draw_roc(axes: Axes, model: Curve, baseline: Curve) -> None:
    """Draw the ROC curve beside the baseline's and chance."""
    axes.plot(*thin(roc_curve(*model)), color=MAIN, linewidth=2, label=f"model: AUC {roc_auc(*model):.3f}")
    label = f"recency, frequency, amount: AUC {roc_auc(*baseline):.3f}"
    axes.plot(*thin(roc_curve(*baseline)), color=OTHER, label=label)
    axes.plot([0, 1], [0, 1], color=CHANCE, linestyle="--", label="chance: AUC 0.500")
    axes.set(
        title="ROC curve on the holdout",
        xlabel="False positive rate: share of users who stayed and are flagged",
        ylabel="True positive rate: share of churners who are flagged",
    )
    _unit_square(axes)
    axes.legend(loc="lower right")


def draw_precision_recall(axes: Axes, model: Curve, baseline: Curve) -> None:
    """Draw precision against recall beside the baseline's and chance, the churn rate."""
    for scored, colour, width, name in (
        (model, MAIN, 2, "model"),
        (baseline, OTHER, 1.5, "recency, frequency, amount"),
    ):
        label = f"{name}: AUC {average_precision(*scored):.3f}"
        axes.plot(*thin(precision_recall_curve(*scored)), color=colour, linewidth=width, label=label)
    rate = float(model[0].mean())
    axes.axhline(rate, color=CHANCE, linestyle="--", label=f"chance, the churn rate: {rate:.3f}")
    axes.set(
        title="Precision and recall on the holdout",
        xlabel="Recall: share of churners who are flagged",
        ylabel="Precision: share of flagged users who churned",
    )
    _unit_square(axes)
    axes.legend(loc="lower left")


def draw_calibration(axes: Axes, label: np.ndarray, probability: np.ndarray) -> None:
    """Draw the churn rate of ten equal groups against their predicted probability."""
    bins = calibration(label, probability)
    predicted, happened = ([bin[name] for bin in bins] for name in ("mean_prediction", "churn_rate"))
    error = [1.96 * np.sqrt(bin["churn_rate"] * (1 - bin["churn_rate"]) / bin["users"]) for bin in bins]
    axes.plot([0, 1], [0, 1], color=CHANCE, linestyle="--", label="perfect calibration")
    axes.errorbar(
        predicted, happened, error, color=MAIN, marker="o", capsize=3, label="model, with 95% intervals of the rate"
    )
    axes.set(
        title="Calibration on the holdout",
        xlabel=f"Predicted probability of churn, mean of each decile (about {bins[0]['users']} users)",
        ylabel="Churn rate of the decile",
    )
    _unit_square(axes)
    axes.legend(loc="upper left")


def draw_gains(axes: Axes, model: Curve, baseline: Curve) -> None:
    """Draw the share of churners found against the share of users flagged, beside the baseline's and chance."""
    axes.plot(*thin(gains_curve(*model)), color=MAIN, linewidth=2, label="model")
    axes.plot(*thin(gains_curve(*baseline)), color=OTHER, label="recency, frequency, amount")
    axes.plot([0, 1], [0, 1], color=CHANCE, linestyle="--", label="chance")
    axes.set(
        title="Cumulative gains on the holdout",
        xlabel="Share of users flagged, most likely to churn first",
        ylabel="Share of churners found",
    )
    _unit_square(axes)
    axes.legend(loc="lower right")


def draw_scores(axes: Axes, label: np.ndarray, probability: np.ndarray) -> None:
    """Draw the distribution of probabilities of churned and of stayed users."""
    bins = count_scores(label, probability)
    for name, colour in ("stayed", MAIN), ("churned", OTHER):
        axes.stairs([bin[name] for bin in bins], np.linspace(0, 1, SCORE_BINS + 1), color=colour, lw=2, label=name)
    axes.set(
        title="Scores on the holdout",
        xlabel="Predicted probability of churn",
        ylabel="Users",
        xlim=(0, 1),
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right")


def draw_segments(axes: Axes, segments: list[dict[str, Any]]) -> None:
    """Draw the ROC AUC of each segment with its 95% interval."""
    for height, segment in enumerate(reversed(segments)):
        if segment["roc_auc"] is not None:
            low, high = segment["roc_auc_low"], segment["roc_auc_high"]
            axes.plot([low, high], [height, height], color=MAIN, linewidth=2)
            axes.plot(segment["roc_auc"], height, "o", color=MAIN)
    names = [f"{segment['segment']} ({segment['users']:,})" for segment in reversed(segments)]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.5, len(names) - 0.5)
    axes.set(title="ROC AUC by segment of the holdout", xlabel="ROC AUC with its 95% interval")
    axes.grid(axis="x", alpha=0.3)


def draw_grid(axes: Axes, search: GridSearch) -> None:
    """Draw the cross-validated metric of every grid point, best on top, with the values of the folds."""
    best = search.best
    _, higher = METRICS[search.metric]
    ordered = sorted(search.results, key=lambda result: ((1 if higher else -1) * result["cv_score"], result == best))
    folds = [name for name in best if name.startswith("fold_")]
    for height, result in enumerate(ordered):
        axes.plot([result[fold] for fold in folds], [height] * len(folds), "|", color=CHANCE, markersize=9)
        axes.plot(result["cv_score"], height, "o", color=OTHER if result == best else MAIN)
    axes.plot([], [], "|", color=CHANCE, label="one fold")
    axes.plot([], [], "o", color=MAIN, label=f"mean of {len(folds)} folds")
    axes.plot([], [], "o", color=OTHER, label=f"chosen: {best['cv_score']:.4f}")
    names = [", ".join(f"{name} {result[name]}" for name in search.point) for result in ordered]
    axes.set_yticks(range(len(ordered)), names)
    axes.set(title="Grid search: cross-validation on the training rows", xlabel=f"{search.metric} of the held-out fold")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def _records(curve: Curve, x: str, y: str) -> list[dict[str, float]]:
    return [{x: along, y: up} for along, up in np.transpose(thin(curve)).tolist()]


def _unit_square(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    axes.grid(alpha=0.3)


def _draw(target: Path, draw: Callable[[Axes], None], width: float = 6.4, height: float = 6.4) -> None:
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    draw(axes)
    save_picture(figure, target)
