from datetime import date, timedelta

import pytest

from churn.base.command import UserError
from churn.features.as_of import (
    Drop,
    check_lookback,
    choose_as_of_dates,
    earliest_since,
    newest_until,
    take_as_of_dates,
)

START = date(2026, 1, 4)


def weekly(number, days=180):
    """Return weekly drops, each with the same number of days of payments."""
    dates = [START + timedelta(weeks=week) for week in range(number)]
    return [Drop(day, day - timedelta(days=days - 1)) for day in dates]


def offsets(days):
    return [(day - START).days for day in days]


def test_twelve_weekly_drops_train_on_drop_dates_a_horizon_before_the_holdout():
    training, holdout = choose_as_of_dates(weekly(12), lookback_days=90, horizon_days=30)
    assert offsets(training) == [0, 7]
    assert offsets([holdout]) == [42]


def test_drop_dates_are_used_from_the_eleventh_weekly_drop_on():
    newest = 9 * 7
    training, holdout = choose_as_of_dates(weekly(10), lookback_days=90, horizon_days=30)
    assert offsets([holdout, *reversed(training)]) == [
        newest - 30,
        newest - 60,
        newest - 90,
        newest - 120,
        newest - 150,
    ]
    assert offsets(choose_as_of_dates(weekly(11), lookback_days=90, horizon_days=30)[0]) == [0]


def test_dates_of_a_single_drop_go_back_as_far_as_payments_cover_the_lookback():
    training, holdout = choose_as_of_dates(weekly(1), lookback_days=90, horizon_days=30)
    assert offsets([*training, holdout]) == [-90, -60, -30]
    training, holdout = choose_as_of_dates(weekly(1, days=179), lookback_days=90, horizon_days=30)
    assert offsets([*training, holdout]) == [-60, -30]


@pytest.mark.parametrize("number", [1, 2, 5, 10, 11, 12, 30])
def test_no_training_label_overlaps_the_holdouts_features(number):
    training, holdout = choose_as_of_dates(weekly(number), lookback_days=90, horizon_days=30)
    assert training
    assert all(day + timedelta(days=30) <= holdout for day in training)


def test_a_later_drop_does_not_change_a_labelled_date():
    drops, later = weekly(12), weekly(13)
    for day in (drop.date for drop in drops[:7]):
        assert earliest_since(drops, day) == earliest_since(later, day)
        assert newest_until(drops, day) == newest_until(later, day)
        horizon = day + timedelta(days=30)
        assert earliest_since(drops, horizon) == earliest_since(later, horizon)


def test_the_error_for_too_little_history_names_drop_days_and_parameters():
    with pytest.raises(UserError) as caught:
        choose_as_of_dates(weekly(1, days=149), lookback_days=90, horizon_days=30)
    message = str(caught.value)
    for part in (
        "drop 2026-01-04 covers 149 days",
        "150 are needed",
        "build_features.lookback_days (90)",
        "horizon_days (30)",
    ):
        assert part in message


def test_the_error_for_an_uncovered_lookback_names_the_days():
    check_lookback(weekly(1, days=90)[0], START, 90)
    with pytest.raises(UserError, match="cover 89 days, but a lookback of 90 days before 2026-01-04 needs 90"):
        check_lookback(weekly(1, days=89)[0], START, 90)


def listed(*weeks):
    return [START + timedelta(weeks=week) for week in weeks]


def test_the_newest_of_listed_dates_is_the_holdout():
    training, holdout = take_as_of_dates(weekly(12), listed(6, 0, 1), lookback_days=90, horizon_days=30)
    assert (training, holdout) == (listed(0, 1), START + timedelta(weeks=6))


@pytest.mark.parametrize(
    ("weeks", "message"),
    [
        ((3,), "at least two dates"),
        ((0, 8), "2026-03-01, which has no label yet: that needs payments up to 2026-03-31"),
        ((0, 2, 6), "2026-01-18, less than 30 days before the holdout of 2026-02-15"),
        ((-13, 6), "a lookback of 90 days before 2025-10-05"),
    ],
)
def test_unusable_listed_dates_are_refused_with_the_reason(weeks, message):
    with pytest.raises(UserError) as caught:
        take_as_of_dates(weekly(12), listed(*weeks), lookback_days=90, horizon_days=30)
    assert message in str(caught.value)
