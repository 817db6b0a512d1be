"""The gates that a candidate must pass on its holdout before it replaces Production."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churn.evaluation.delong import CONFIDENCE, gain_interval
from churn.evaluation.metrics import calibration_error, chance_calibration_error, roc_auc
from churn.evaluation.segments import MIN_USERS, find_segments, has_enough

NO_PRODUCTION = "There is no Production yet."
# Beyond seven standard errors an interval says nothing more, and rounding turns the level into 1, an endless interval.
HIGHEST_CONFIDENCE = 1 - 1e-12


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
    rival: str = "Production",
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
    candidates_judged : int
        How many other candidates were compared with Production on this holdout before this one.
    rival : str
        What the second model is called in the reason.

    Returns
    -------
    dict
        `gain` in ROC AUC over Production with the bounds of its interval (null without Production), `confidence`,
        the level of that interval, `candidates_judged`, `gates`, `decision` (promote or skip) and `reason`.
    """
    label = rows["label"].to_numpy()
    auc = roc_auc(label, candidate)
    confidence = confidence_on_holdout(params, candidates_judged)
    gates = [
        at_least("min_roc_auc", auc, params["min_roc_auc"], "The candidate's ROC AUC"),
        limit_calibration_error(label, candidate, params["max_ece"]),
    ]
    content: dict[str, Any] = {"gain": None, "gain_low": None, "gain_high": None}
    if production is None:
        opening = f"{NO_PRODUCTION} The candidate's ROC AUC is {auc:.4f}."
    else:
        gain, low, high = gain_interval(label, candidate, production, confidence)
        content |= {"gain": gain, "gain_low": low, "gain_high": high}
        opening = (
            f"On the same holdout the candidate's ROC AUC is {auc:.4f} and {rival}'s "
            f"{roc_auc(label, production):.4f}, a gain of {gain:+.4f} ({percent(confidence)} interval {low:+.4f} to "
            f"{high:+.4f})."
        )
        gates.append(at_least("min_delta", gain, params["min_delta"], "The gain"))
        if params["confidence"] is not None:
            opening += describe_judged(candidates_judged)
            gates.append(at_least("confidence", low, 0.0, "The lower bound of the gain's interval", beyond=True))
        gates.append(limit_segment_loss(rows, candidate, production, params["max_segment_loss"]))
    failed = [gate.message for gate in gates if not gate.passed]
    return content | {
        "confidence": confidence,
        "candidates_judged": candidates_judged,
        "gates": [asdict(gate) for gate in gates],
        "decision": "skip" if failed else "promote",
        "reason": " ".join([opening, *(failed or [gate.message for gate in gates if gate.gate == "min_delta"])]),
    }


def confidence_on_holdout(params: dict[str, Any], candidates_judged: int) -> float:
    """Return the level of the gain's interval, which makes `confidence` the confidence over a year of comparisons.

    A candidate that is no better must be promoted in at most (1 - confidence) / 2 of all years, however many
    candidates there are. All holdouts of a year get an equal part of that error. On one holdout the k-th candidate
    gets 1 / (k * (k + 1)) of the holdout's part: these shares add up to at most 1, however many candidates follow.

    Parameters
    ----------
    params : dict
        Section evaluate_candidate of params.yaml.
    candidates_judged : int
        How many candidates were compared on this holdout before.
    """
    if params["confidence"] is None:
        return CONFIDENCE
    number = candidates_judged + 1
    both_sides = (1 - params["confidence"]) / params["comparisons_per_year"] / (number * (number + 1))
    return float(min(1 - both_sides, HIGHEST_CONFIDENCE))


def describe_judged(candidates_judged: int) -> str:
    """Return a sentence, after a blank, about earlier candidates on the same holdout; nothing if there are none."""
    if not candidates_judged:
        return ""
    candidates = "1 candidate" if candidates_judged == 1 else f"{candidates_judged} candidates"
    return f" This holdout has judged {candidates} before, so the interval is wider."


def percent(confidence: float) -> str:
    """Return a level in percent, such as 95% or 99.984%, with enough digits to distinguish it from 100%."""
    digits = math.floor(-math.log10(1 - confidence))
    return f"{round(100 * confidence, digits):.{digits + 3}g}%"


def at_least(gate: str, value: float, limit: float, name: str, *, beyond: bool = False) -> Gate:
    """Require a value to reach a limit, or to exceed it."""
    passed = value > limit if beyond else value >= limit
    verb = ("is above" if beyond else "reaches") if passed else ("is not above" if beyond else "is below")
    return Gate(gate, value, limit, passed, f"{name}, {value:.4f}, {verb} the required {limit:g}.")


def limit_calibration_error(label: NDArray[np.int32], candidate: NDArray[np.float64], limit: float) -> Gate:
    """Require that the calibration error exceeds what chance makes of it by no more than the limit.

    Parameters
    ----------
    label : numpy.ndarray
        Of shape (rows,): 1 for churned, 0 for stayed.
    candidate : numpy.ndarray
        The candidate's probability of churn for each row.
    limit : float
        The calibration error that is allowed with very many rows.
    """
    value, chance = calibration_error(label, candidate), chance_calibration_error(candidate)
    allowed = limit + chance
    message = (
        f"The candidate's calibration error, {value:.4f}, {'is within' if value <= allowed else 'exceeds'} the "
        f"allowed {allowed:.4f}: {limit:g} and the {chance:.4f} that chance alone makes with {len(label):,} users."
    )
    return Gate("max_ece", value, allowed, value <= allowed, message)


def limit_segment_loss(
    rows: pa.Table, candidate: NDArray[np.float64], production: NDArray[np.float64], limit: float
) -> Gate:
    """Require that no segment with enough users loses more ROC AUC than the limit and than chance explains.

    With many segments, one of them always loses much by chance. So each interval of a loss has the level at which
    the intervals of all segments together are right with 95% confidence (Bonferroni).
    """
    label = rows["label"].to_numpy()
    measured = {name: mask for name, mask in find_segments(rows).items() if has_enough(label[mask])}
    if not measured:
        message = f"No segment has {MIN_USERS} churned and {MIN_USERS} other users, so none is compared."
        return Gate("max_segment_loss", 0.0, limit, True, message)
    level = 1 - (1 - CONFIDENCE) / len(measured)
    # A loss is the gain of Production over the candidate.
    losses = {
        name: gain_interval(label[mask], production[mask], candidate[mask], level) for name, mask in measured.items()
    }
    beyond_chance = {name for name, (loss, low, _) in losses.items() if loss > limit and low > 0}
    worst = max(beyond_chance or losses, key=lambda name: losses[name][0])
    loss, low, high = losses[worst]
    verdict = f"is within the allowed {limit:g}"
    if loss > limit:
        verdict = f"exceeds the allowed {limit:g}" + ("" if beyond_chance else ", but may be chance")
    message = (
        f"The largest loss of ROC AUC in a segment ({worst}), {loss:.4f} ({percent(level)} interval {low:+.4f} to "
        f"{high:+.4f}), {verdict}."
    )
    return Gate("max_segment_loss", loss, limit, not beyond_chance, message)
