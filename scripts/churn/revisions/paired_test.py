"""The paired test of two models: each scores the rows of its own revision, and the rows are paired by user.

With different holdout dates, the older revision has no rows of the newer date: both models score the newer holdout, if
their features mean the same there (churn.revisions.comparable).
"""

from dataclasses import dataclass, field

import numpy as np

from churn.evaluation.delong import CONFIDENCE, gain_interval
from churn.evaluation.metrics import measure
from churn.revisions.comparable import find_obstacle, has_same_date, order_by_holdout, read_training_set
from churn.revisions.pairing import Pairs, pair_users, read_scorer, score_rows
from churn.revisions.revision import MissingOutputError, Revision

COMPARED = ("roc_auc", "roc_auc_low", "roc_auc_high", "pr_auc", "log_loss", "brier", "ece")
# A few corrected labels can be left out without a visible change of the result. When more differ, leaving them out
# would choose users by their outcome, and which revision's labels to use is not for a test to decide.
MAX_RELABELLED_SHARE = 0.01
# DeLong's variance needs two users in each group.
MIN_USERS = 2


@dataclass(frozen=True)
class PairedTest:
    """The result of the test.

    Attributes
    ----------
    verdict : str
        better, worse, no difference beyond chance, same model, or not tested.
    message : str
        The result in sentences, with its numbers.
    measures : list of dict
        The measures of the base's and of the head's model on the paired users; empty if not tested.
    gain : tuple of float
        The head's ROC AUC minus the base's, with the bounds of its interval; empty if not tested.
    """

    verdict: str
    message: str
    measures: list[dict[str, float]] = field(default_factory=list)
    gain: tuple[float, ...] = ()


def run_paired_test(base: Revision, head: Revision) -> PairedTest:
    """Score the same users with both models and test the difference of their ROC AUCs (DeLong)."""
    if obstacle := find_obstacle(base, head):
        return PairedTest("not tested", obstacle)
    try:
        models = [read_scorer(one) for one in (base, head)]
        pairs = pair_rows(base, head, models)
    except MissingOutputError as error:
        return PairedTest("not tested", f"{error}.")
    if obstacle := describe_too_few(base, head, pairs):
        return PairedTest("not tested", obstacle)
    return conclude(base, head, pairs, is_same_model=models[0] == models[1])


def conclude(base: Revision, head: Revision, pairs: Pairs, *, is_same_model: bool) -> PairedTest:
    """Return the measures of both models on the pairs and the result of DeLong's test."""
    # Measures that depend on a threshold are not compared.
    found = [measure(pairs.label, probability, threshold=0.5) for probability in pairs.scores]
    measures = [{name: one[name] for name in COMPARED} for one in found]
    where, rest = describe_rows(base, head, pairs)
    if is_same_model and np.array_equal(pairs.scores[0], pairs.scores[1]):
        return PairedTest(
            "same model", f"Its ROC AUC on {where} is {measures[0]['roc_auc']:.4f}. {rest}", measures, (0.0, 0.0, 0.0)
        )
    gain, low, high = gain_interval(pairs.label, pairs.scores[1], pairs.scores[0])
    verdict = "better" if low > 0 else "worse" if high < 0 else "no difference beyond chance"
    message = (
        f"On {where} the ROC AUC of {head.name} is {measures[1]['roc_auc']:.4f} and that of {base.name} "
        f"{measures[0]['roc_auc']:.4f}: a difference of {gain:+.4f} ({CONFIDENCE:.0%} interval {low:+.4f} to "
        f"{high:+.4f}, DeLong's paired test). {rest}"
    )
    if is_same_model:
        message += " Both have the same model: the difference comes from the values of its features."
    return PairedTest(verdict, message, measures, (gain, low, high))


def pair_rows(base: Revision, head: Revision, models: list[bytes]) -> Pairs:
    """Score the rows of the test with both models.

    Raises
    ------
    MissingOutputError
        When a holdout is missing here, or lacks a feature of a model.
    """
    if has_same_date(base, head):
        return pair_users(
            *(score_rows(one, {one.name: model}) for one, model in zip((base, head), models, strict=True))
        )
    _, holder = order_by_holdout(base, head)
    rows = score_rows(holder, {one.name: model for one, model in zip((base, head), models, strict=True)})
    return Pairs(rows.label, rows.scores)


def describe_too_few(base: Revision, head: Revision, pairs: Pairs) -> str | None:
    """Return in a sentence why the pairs do not allow a test; None if they do."""
    tested, both = len(pairs.label), len(pairs.label) + pairs.relabelled
    if pairs.relabelled > MAX_RELABELLED_SHARE * both:
        return (
            f"Of the {both:,} users in both holdouts, {pairs.relabelled:,} have another label, more than "
            f"{MAX_RELABELLED_SHARE:.0%}: their payments or the definition of churn changed. Merge the change into "
            "both, run make run, then compare."
        )
    churned = int(np.count_nonzero(pairs.label == 1))
    if min(churned, tested - churned) < MIN_USERS:
        return (
            f"Only {tested:,} users could be tested, of whom {churned:,} churned: a test needs at least {MIN_USERS} "
            f"who churned and {MIN_USERS} who did not. " + describe_left_out(base.name, head.name, pairs)
        )
    return None


def describe_rows(base: Revision, head: Revision, pairs: Pairs) -> tuple[str, str]:
    """Return which users are in the test, in words, and a sentence on whose rows were scored and who was left out."""
    older, newer = order_by_holdout(base, head)
    training_set = read_training_set(newer)
    day, horizon = training_set["holdout_date"], f"a horizon of {training_set['horizon_days']} days"
    users = f"{len(pairs.label):,} users"
    if has_same_date(base, head):
        return (
            f"the {users} in both holdouts of {day} ({horizon})",
            f"Each model scored the rows of its own revision. {describe_left_out(base.name, head.name, pairs)}",
        )
    return (
        f"the holdout of {day} of {newer.name} ({users}, {horizon})",
        f"Both models scored these rows, because the holdout of {older.name} is of "
        f"{read_training_set(older)['holdout_date']}. No user was left out.",
    )


def describe_left_out(base: str, head: str, pairs: Pairs) -> str:
    """Return in a sentence how many users are not in the test, and why."""
    reasons = [
        *([f"{pairs.only_base:,} only in {base}"] if pairs.only_base else []),
        *([f"{pairs.only_head:,} only in {head}"] if pairs.only_head else []),
        *([f"{pairs.relabelled:,} with different labels"] if pairs.relabelled else []),
    ]
    return f"Users left out: {', '.join(reasons)}." if reasons else "No user was left out."
