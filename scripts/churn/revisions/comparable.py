"""Decide whether the models of two revisions can be tested against each other, and on whose rows."""

from datetime import date
from typing import Any

from churn.release.meaning import Meaning, meaning_of
from churn.revisions.revision import Revision

TRAINING_SET, TRAINED = "metrics/build_training_set.json", "metrics/train_model.json"
NEEDED = ("holdout_date", "horizon_days", "lookback_days")


def find_obstacle(base: Revision, head: Revision) -> str | None:
    """Return in sentences why the two models cannot be tested against each other; None if they can.

    What a revision up to version 0.1.0 did not store (where its drops come from, digests) counts as equal.
    """
    for one in (base, head):
        if missing := [name for name in NEEDED if name not in read_training_set(one)]:
            return f"{one.name} has no {', '.join(missing)} in {TRAINING_SET}. Run the pipeline there, then compare."
    meanings = [read_meaning(one) for one in (base, head)]
    if targets := list_other_targets(*meanings):
        return f"Another target: {'; '.join(targets)}. The ROC AUCs of two targets cannot be compared."
    if (sources := [one.source for one in meanings])[0] != sources[1] and all(sources):
        return f"Other users: {head.name} has drops of source {sources[1]}, {base.name} of source {sources[0]}."
    older, newer = order_by_holdout(base, head)
    if differences := list_other_features(older, newer):
        days = [read_training_set(one)["holdout_date"] for one in (older, newer)]
        return (
            f"The holdout of {older.name} is of {days[0]}, that of {newer.name} of {days[1]}. Both models would score "
            f"the rows of {newer.name}, whose features differ from those that {older.name} was trained on: "
            f"{'; '.join(differences)}. Merge the newer drops into {older.name}, run make run there, then compare."
        )
    holdout = read_training_set(newer)["holdout_date"]
    for one, meaning in zip((base, head), meanings, strict=True):
        if late := meaning.trained_on(date.fromisoformat(holdout)):
            return (
                f"{one.name} was trained on users of {late}, whose labels need the {meaning.horizon_days} days after "
                f"it: the holdout of {holdout} of {newer.name} is not new to its model. Compare with a revision that "
                "was trained on earlier dates."
            )
    return None


def order_by_holdout(base: Revision, head: Revision) -> tuple[Revision, Revision]:
    """Return the revision with the earlier holdout and the one with the later; base and head if they are equal."""
    days = [read_training_set(one)["holdout_date"] for one in (base, head)]
    return (head, base) if days[0] > days[1] else (base, head)


def has_same_date(base: Revision, head: Revision) -> bool:
    """Return whether the holdouts have the same as-of date, so that each revision has rows of its own for the test."""
    return bool(read_training_set(base)["holdout_date"] == read_training_set(head)["holdout_date"])


def list_other_targets(base: Meaning, head: Meaning) -> list[str]:
    """Return in which ways the models predict something else; empty if in none."""
    found = []
    if base.horizon_days != head.horizon_days:
        found.append(f"a horizon of {head.horizon_days} days against {base.horizon_days}")
    if base.label and head.label and base.label != head.label:
        found.append("another definition of churn")
    return found


def list_other_features(older: Revision, newer: Revision) -> list[str]:
    """Return in which ways the older model's features mean something else in the newer rows; empty if in none.

    Revisions with the same holdout date have rows of their own, so their features may differ.
    """
    if has_same_date(older, newer):
        return []
    then, now = read_meaning(older), read_training_set(newer)
    found = []
    if then.lookback_days != now["lookback_days"]:
        found.append(f"a lookback of {now['lookback_days']} days against {then.lookback_days}")
    if edited := then.edited_features(now.get("feature_digests", {})):
        found.append(f"another definition of {', '.join(edited)}")
    return found


def read_training_set(revision: Revision) -> dict[str, Any]:
    """Return the metrics of a revision's training set."""
    return revision.read_json(TRAINING_SET)


def read_meaning(revision: Revision) -> Meaning:
    """Return what a revision's model means, from its metrics; "" for what it did not store."""
    return meaning_of(read_training_set(revision), revision.read_json(TRAINED).get("features", []))
