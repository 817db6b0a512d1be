"""Describe in words in which segments of users a model is better or worse, and what that means for a list of users."""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

from churn.base.markdown import escape
from churn.evaluation.delong import CONFIDENCE

# A sentence that names more segments than this is not read; the table has them all.
MAX_NAMED = 10
DEMOGRAPHICS = ("age: ", "gender: ")


def describe_differences(segments: list[dict[str, Any]], overall: dict[str, Any]) -> str:
    """Return Markdown that says which segments differ from all users by more than chance, and the consequences.

    Parameters
    ----------
    segments : list of dict
        The result of `measure_segments`.
    overall : dict
        The same for all users: `roc_auc`, `users`, `churn_rate` and `mean_prediction`.
    """
    measured = [segment for segment in segments if segment["roc_auc"] is not None]
    worse = [segment for segment in measured if segment["roc_auc_high"] < overall["roc_auc"]]
    better = [segment for segment in measured if segment["roc_auc_low"] > overall["roc_auc"]]
    above = [segment for segment in segments if predicts_too_much(segment)]
    below = [segment for segment in segments if predicts_too_little(segment)]
    if not (worse or better or above or below):
        return (
            "No segment differs by more than chance: each interval of ROC AUC includes the ROC AUC of all users, and "
            "each mean prediction is within the 95% interval of the churn rate."
        )
    level = f"ROC AUC of all users, {overall['roc_auc']:.3f}"
    lines = [
        *_list(f"Ranked worse (the interval is below the {level})", worse, _show_auc),
        *_list(f"Ranked better (the interval is above the {level})", better, _show_auc),
        *_list("Too much churn predicted (above the 95% interval of the churn rate)", above, _show_rates),
        *_list("Too little churn predicted (below the 95% interval of the churn rate)", below, _show_rates),
    ]
    names = [segment["segment"] for segment in (*worse, *above, *below)]
    means = _describe_consequences(bool(worse), bool(above), bool(below), overall)
    if any(name.startswith(DEMOGRAPHICS) for name in names):
        means.append(
            "Some of these segments are age bands or genders: an offer to the users of such a list treats people "
            "differently by age or gender. Check that this is acceptable before you use the list."
        )
    checks = len(measured) + len(segments)
    means.append(f"Of the {checks} comparisons with 95% intervals, about {checks / 20:.0f} would differ by chance.")
    return "\n".join(lines) + "\n\n" + " ".join(means)


def predicts_too_much(segment: dict[str, Any]) -> bool:
    """Return whether the mean prediction is above the interval of the churn rate."""
    return bool(segment["mean_prediction"] > rate_interval(segment["churn_rate"], segment["users"])[1])


def predicts_too_little(segment: dict[str, Any]) -> bool:
    """Return whether the mean prediction is below the interval of the churn rate."""
    return bool(segment["mean_prediction"] < rate_interval(segment["churn_rate"], segment["users"])[0])


def rate_interval(rate: float, users: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the confidence interval of a rate, which is right with few users too.

    Method: E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of the American
    Statistical Association 22 (1927).
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle = rate + z**2 / (2 * users)
    half = z * float((rate * (1 - rate) / users + z**2 / (4 * users**2)) ** 0.5)
    return (middle - half) / (1 + z**2 / users), (middle + half) / (1 + z**2 / users)


def _describe_consequences(worse: bool, above: bool, below: bool, overall: dict[str, Any]) -> list[str]:
    """Return sentences on what the differences mean for a list of the users with the highest probabilities."""
    sentences = []
    if above:
        sentences.append(
            "A list of the highest probabilities, such as the top decile, will contain too many users of the segments "
            "with too much churn predicted" + (", and too few of those with too little." if below else ".")
        )
    elif below:
        sentences.append(
            "A list of the highest probabilities, such as the top decile, will contain too few users of the segments "
            "with too little churn predicted."
        )
    if predicts_too_much(overall) or predicts_too_little(overall):
        direction = "much" if predicts_too_much(overall) else "little"
        sentences.append(
            f"But the model predicts too {direction} churn for all users together "
            f"({overall['mean_prediction']:.1%}, churn rate {overall['churn_rate']:.1%}); a segment that differs no "
            "more than that is not listed too often or too rarely."
        )
    if worse:
        sentences.append("Where the ranking is worse, a list misses more of the churners and contacts more who stay.")
    return sentences


def _list(title: str, segments: list[dict[str, Any]], show: Callable[[dict[str, Any]], str]) -> list[str]:
    """Return an item of a Markdown list that names segments, the largest first; nothing without segments."""
    if not segments:
        return []
    largest = sorted(segments, key=lambda segment: -segment["users"])
    named = "; ".join(f"{escape(segment['segment'])} ({show(segment)})" for segment in largest[:MAX_NAMED])
    rest = len(largest) - MAX_NAMED
    return [f"- {title}: {named}" + (f"; and {rest} smaller ones." if rest > 0 else ".")]


def _show_auc(segment: dict[str, Any]) -> str:
    return "{roc_auc:.3f}, {roc_auc_low:.3f} to {roc_auc_high:.3f}".format(**segment)


def _show_rates(segment: dict[str, Any]) -> str:
    low, high = rate_interval(segment["churn_rate"], segment["users"])
    return f"{segment['mean_prediction']:.1%} predicted, {segment['churn_rate']:.1%} churned, {low:.1%} to {high:.1%}"
