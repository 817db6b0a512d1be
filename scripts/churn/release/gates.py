"""The gates that a candidate must pass on its holdout before it replaces Production."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churn.evaluation.delong import CONFIDENCE, gain_interval
from churn.evaluation.metrics import calibration_error, roc_auc
from churn.evaluation.segments import find_segments, has_enough


@dataclass(frozen=True)
class Gate:
    """One condition, and whether the candidate meets it."""

    gate: str
    value: float
    limit: float
    passed: bool
    message: str


def decide(
    rows: pa.Table,
    candidate: NDArray[np.float64],
    production: NDArray[np.float64] | None,
    params: dict[str, Any],
    candidates_judged: int = 0,
) -> dict[str, Any]:
    """Decide whether to promote a candidate.

    Parameters
    ----------
    rows : pyarrow.Table
        The holdout: labelled rows with the columns of a feature table.
    candidate, production : numpy.ndarray
        Each model's probability of churn for each row; None without a model in Production.
    params : dict
        Section evaluate_candidate of params.yaml.

    Returns
    -------
    dict
        `gain` in ROC AUC over Production with the bounds of its interval (null without Production), `gates`,
        `decision` (promote or skip) and `reason`.
    """
    label = rows["label"].to_numpy()
    auc = roc_auc(label, candidate)
    gates = [
        at_least("min_roc_auc", auc, params["min_roc_auc"], "The candidate's ROC AUC"),
        at_most("max_ece", calibration_error(label, candidate), params["max_ece"], "The candidate's calibration error"),
    ]
    content: dict[str, Any] = {"gain": None, "gain_low": None, "gain_high": None}
    if production is None:
        opening = f"There is no Production yet; the candidate's ROC AUC is {auc:.4f}."
    else:
        confidence = params["confidence"] or CONFIDENCE
        gain, low, high = gain_interval(label, candidate, production, confidence)
        content |= {"gain": gain, "gain_low": low, "gain_high": high}
        opening = (
            f"On the same holdout the candidate's ROC AUC is {auc:.4f} and Production's "
            f"{roc_auc(label, production):.4f}, a gain of {gain:+.4f} ({confidence:.0%} interval {low:+.4f} to "
            f"{high:+.4f})."
        )
        gates.append(at_least("min_delta", gain, params["min_delta"], "The gain"))
        if params["confidence"] is not None:
            gates.append(at_least("confidence", low, 0.0, "The lower bound of the gain's interval", beyond=True))
        gates.append(limit_segment_loss(rows, candidate, production, params["max_segment_loss"]))
    failed = [gate.message for gate in gates if not gate.passed]
    return content | {
        "confidence": params["confidence"] or CONFIDENCE,
        "gates": [asdict(gate) for gate in gates],
        "decision": "skip" if failed else "promote",
        "reason": " ".join([opening, *(failed or [gate.message for gate in gates if gate.gate == "min_delta"])]),
    }


def at_least(gate: str, value: float, limit: float, name: str, *, beyond: bool = False) -> Gate:
    """Require a value to reach a limit, or to exceed it."""
    passed = value > limit if beyond else value >= limit
    verb = ("is above" if beyond else "reaches") if passed else ("is not above" if beyond else "is below")
    return Gate(gate, value, limit, passed, f"{name}, {value:.4f}, {verb} the required {limit:g}.")


def at_most(gate: str, value: float, limit: float, name: str) -> Gate:
    """Require a value not to exceed a limit."""
    verb = "is within" if value <= limit else "exceeds"
    return Gate(gate, value, limit, value <= limit, f"{name}, {value:.4f}, {verb} the allowed {limit:g}.")


def limit_segment_loss(
    rows: pa.Table, candidate: NDArray[np.float64], production: NDArray[np.float64], limit: float
) -> Gate:
    """Require that no segment with enough users loses more ROC AUC than the limit."""
    label = rows["label"].to_numpy()
    losses = {
        name: roc_auc(label[mask], production[mask]) - roc_auc(label[mask], candidate[mask])
        for name, mask in find_segments(rows).items()
        if has_enough(label[mask])
    }
    worst = max(losses, key=lambda name: losses[name], default="none")
    name = f"The largest loss of ROC AUC in a segment ({worst})"
    return at_most("max_segment_loss", losses.get(worst, 0.0), limit, name)
