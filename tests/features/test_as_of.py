import json
from datetime import date, timedelta

import pytest

from churn.base.command import UserError
from churn.features.as_of import (
    Drop,
    Windows,
    check_lookback,
    choose_as_of_dates,
    drop_of_payments,
    drops_of_label,
    newest_until,
    take_as_of_dates,
)
from churn.features.coverage import allowed_silence, open_drop

START = date(2026, 1, 4)
WINDOWS = Windows(lookback=90, horizon=30)


def weekly(number, days=180):
    """Return weekly drops, each with the same number of days of payments."""
    return [drop_at(7 * week, days) for week in range(number)]


def drop_at(offset, days=180):
    """Return a drop some days after the start, which covers all days up to its date."""
    day = START + timedelta(days=offset)
    return Drop(day, ((day - timedelta(days=days - 1), day),))


def with_silence(offset, before, after, days=180):
    """Return a drop without payments between two days (counted from the start)."""
    drop = drop_at(offset, days)
    edges = START + timedelta(days=before), START + timedelta(days=after)
    return Drop(drop.date, ((drop.first_payment, edges[0]), (edges[1], drop.date)))


def offsets(days):
    return [(day - START).days for day in days]


def chosen(drops, windows=WINDOWS, most=26):
    """Return the chosen dates as days from the start: of training, and the holdout."""
    dates = choose_as_of_dates(drops, windows, most)
    return offsets(dates.training), *offsets([dates.holdout])


def test_drop_dates_come_first_and_dates_before_the_oldest_drop_are_added():
    assert chosen(weekly(12)) == ([-90, -60, -30, 0, 7], 42)


def test_one_drop_more_never_takes_training_dates_away():
    assert chosen(weekly(10)) == ([-90, -60, -30], 28)
    assert chosen(weekly(11)) == ([-90, -60, -30, 0], 35)
    numbers = [len(choose_as_of_dates(weekly(number), WINDOWS, 26).training) for number in range(6, 41)]
    assert numbers == sorted(numbers)


def test_dates_of_a_single_drop_go_back_as_far_as_payments_cover_the_lookback():
    assert chosen(weekly(1)) == ([-90, -60], -30)
    assert chosen(weekly(1, days=179)) == ([-60], -30)


def test_the_newest_training_dates_are_kept_and_the_others_counted():
    dates = choose_as_of_dates(weekly(104), WINDOWS, 26)
    every = choose_as_of_dates(weekly(104), WINDOWS, 1000)
    assert dates.training == every.training[-26:] and dates.holdout == every.holdout
    assert (dates.left_out, every.left_out) == (len(every.training) - 26, 0)
    assert len(every.training) == 94 + 3


@pytest.mark.parametrize("number", [1, 2, 5, 6, 10, 11, 12, 30])
def test_no_training_label_overlaps_the_holdouts_features(number):
    dates = choose_as_of_dates(weekly(number), WINDOWS, 26)
    assert dates.training
    assert all(day + timedelta(days=30) <= dates.holdout for day in dates.training)


def test_a_later_drop_does_not_change_a_labelled_date():
    drops, later = weekly(12), [*weekly(13), drop_at(200, days=400)]
    for day in (drop.date for drop in drops[:7]):
        assert drop_of_payments(drops, day, WINDOWS) == drop_of_payments(later, day, WINDOWS)
        assert newest_until(drops, day) == newest_until(later, day)
        assert drops_of_label(drops, day, WINDOWS) == drops_of_label(later, day, WINDOWS)


def test_a_label_is_read_from_as_many_drops_as_cover_it():
    monthly = [drop_at(30 * month, days=31) for month in range(5)]
    assert drops_of_label(monthly, START + timedelta(days=15), WINDOWS) == [monthly[2], monthly[1]]
    assert drops_of_label(weekly(12), START, WINDOWS) == [drop_at(35)]
    assert drops_of_label(monthly, START, Windows(lookback=90, horizon=90)) == [monthly[3], monthly[2], monthly[1]]


def test_a_date_whose_label_has_days_that_no_drop_covers_is_not_used():
    # Two days are between the drops.
    half_yearly = [drop_at(182 * number, days=180) for number in range(4)]
    assert chosen(half_yearly, most=100)[1] == 516, "30 days before the newest"
    training = chosen(half_yearly, most=100)[0]
    assert all(day % 182 in range(90 - 1, 182 - 30 + 1) for day in training), training


def test_a_silence_of_months_is_no_churn():
    drops = [*weekly(30), *(with_silence(203 + 120 + 7 * week, 203, 323) for week in range(12))]
    training, holdout = chosen(drops, most=1000)
    silent = range(203 - 30 + 1, 323)
    assert holdout not in silent and not set(training) & set(silent)


def test_the_error_for_too_little_history_names_drop_days_and_parameters():
    with pytest.raises(UserError) as caught:
        choose_as_of_dates(weekly(1, days=149), WINDOWS, 26)
    message = str(caught.value)
    for part in (
        "drop 2026-01-04 covers 149 days",
        "150 are needed",
        "build_features.lookback_days (90)",
        "horizon_days (30)",
    ):
        assert part in message


def test_the_error_for_too_little_history_names_a_silence():
    with pytest.raises(UserError, match="2025-07-09 to 2025-10-01 and 2025-11-15 to 2026-01-04"):
        choose_as_of_dates([with_silence(0, -95, -50)], WINDOWS, 26)


def test_the_error_for_an_uncovered_lookback_names_the_days():
    check_lookback(weekly(1, days=90)[0], START, 90)
    with pytest.raises(UserError, match="cover 89 days, but a lookback of 90 days before 2026-01-04 needs 90"):
        check_lookback(weekly(1, days=89)[0], START, 90)


def test_a_silence_is_covered_up_to_a_third_of_the_horizon(tmp_path):
    spans = [["2025-07-01", "2025-12-01"], ["2025-12-12", "2026-01-04"]]
    (tmp_path / "2026-01-04.json").write_text(json.dumps({"PAYMENTS.csv": {"covered": spans}}))
    covered = {horizon: len(open_drop(tmp_path, START, allowed_silence(horizon)).spans) for horizon in (7, 30, 33, 60)}
    assert covered == {7: 2, 30: 2, 33: 1, 60: 1}, "eleven days"
    (tmp_path / "2026-01-20.json").write_text(json.dumps({"PAYMENTS.csv": {"covered": spans}}))
    later = date(2026, 1, 20)
    assert open_drop(tmp_path, later, allowed_silence(30)).covered_since(later) is None, "nor after the last payment"
    assert open_drop(tmp_path, later, allowed_silence(60)).covered_since(later)


def listed(*weeks):
    return [START + timedelta(weeks=week) for week in weeks]


def test_the_newest_of_listed_dates_is_the_holdout():
    dates = take_as_of_dates(weekly(12), listed(6, 0, 1), WINDOWS)
    assert (dates.training, dates.holdout) == (listed(0, 1), START + timedelta(weeks=6))


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
        take_as_of_dates(weekly(12), listed(*weeks), WINDOWS)
    assert message in str(caught.value)


def test_a_listed_date_without_a_whole_label_or_lookback_is_refused_with_the_day():
    half_yearly = [drop_at(182 * number, days=180) for number in range(3)]
    with pytest.raises(UserError, match="2026-06-14, whose label needs the payments from 2026-06-15 to 2026-07-14"):
        take_as_of_dates(half_yearly, [START + timedelta(days=161), START + timedelta(days=300)], WINDOWS)
    with pytest.raises(UserError, match="its lookback from 2025-10-07 to 2026-01-04 has a long silence"):
        take_as_of_dates([with_silence(120, -40, -5, days=300)], [START, START + timedelta(days=40)], WINDOWS)
