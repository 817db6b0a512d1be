"""A feature's digest says what it means: it is the same wherever it is computed, and another one when it is edited."""

import dataclasses
import sys

from conftest import ROOT, run

from churn.features import meanings
from churn.features.meanings import describe_payments, describe_users, digest_features, digest_label


def test_digests_are_the_same_each_time_in_each_process():
    first = digest_features(), digest_label()
    # Other tables are made in between.
    describe_payments()
    assert (digest_features(), digest_label()) == first
    code = "from churn.features.meanings import *; print(digest_label(), sorted(digest_features().items()))"
    printed = run(sys.executable, "-c", code, cwd=ROOT, PYTHONPATH="scripts", PYTHONHASHSEED="7").stdout.strip()
    assert printed == f"{first[1]} {sorted(first[0].items())}"


def test_every_feature_has_a_digest_of_its_own():
    digests = digest_features()
    assert digests.keys() == {*describe_payments(), *describe_users()}
    assert len(set(digests.values())) == len(digests)


def test_only_the_digest_of_an_edited_feature_changes(monkeypatch):
    before, original = digest_features(), meanings.payment_features

    def edited(known):
        features = original(known)
        value = (known.days_ago < 31).sum()
        return features | {"payments_last_30d": dataclasses.replace(features["payments_last_30d"], value=value)}

    monkeypatch.setattr(meanings, "payment_features", edited)
    after = digest_features()
    assert {name for name in before if before[name] != after[name]} == {"payments_last_30d"}


def test_another_meaning_in_words_changes_no_digest(monkeypatch):
    before, original = digest_features(), meanings.user_features

    def reworded(users, as_of):
        return {name: dataclasses.replace(one, meaning="reworded") for name, one in original(users, as_of).items()}

    monkeypatch.setattr(meanings, "user_features", reworded)
    assert digest_features() == before


def test_an_edited_sum_of_refunds_changes_the_sum(monkeypatch):
    before, original = digest_features(), meanings.refund_features

    def edited(known):
        return {name: dataclasses.replace(one, value=one.value * 2) for name, one in original(known).items()}

    monkeypatch.setattr(meanings, "refund_features", edited)
    after = digest_features()
    assert {name for name in before if before[name] != after[name]} == {"payments_sum"}
