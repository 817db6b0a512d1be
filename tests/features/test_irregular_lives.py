"""Deliveries as they come over years, run through the data stages; the labels are counted again with pandas."""

import json
import shutil
from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.small_drops import DAY, Deliveries, expected_labels, labels_of, make_payments
from text_ids import text_id

from churn.base.command import UserError

START = date(2025, 1, 1)
PAYMENTS = make_payments(START, 700)
LIVES = {
    # days of the drops from the start, history of each, horizon
    "daily": (range(300, 316), 180, 30),
    "monthly": (range(200, 520, 30), 180, 30),
    "monthly with a history of a month": (range(120, 520, 30), 121, 60),
    "half-yearly": (range(200, 700, 182), 180, 30),
    "no deliveries for four months": ([*range(200, 270, 14), *range(390, 480, 14)], 100, 30),
    "horizon of 60 days": (range(250, 400, 14), 180, 60),
    "horizon as long as the history": (range(200, 560, 30), 120, 120),
}


WRONG_DAYS = ("1900-01-01", "2015-06-01")


def at(day):
    return START + timedelta(days=day)


def dates_of(rows):
    return sorted(rows.as_of_date.unique())


@pytest.mark.parametrize("life", [pytest.param(one, marks=[pytest.mark.slow] * (one == "daily")) for one in LIVES])
def test_labels_are_what_the_payments_say(tmp_path, life):
    days, history, horizon = LIVES[life]
    deliveries = Deliveries(tmp_path, horizon=horizon)
    for day in days:
        deliveries.deliver(PAYMENTS, at(day), history)
    rows = deliveries.build()
    assert labels_of(rows) == expected_labels(PAYMENTS, dates_of(rows), horizon)
    assert len(dates_of(rows)) >= 3
    assert max(dates_of(rows)) <= at(max(days)) - timedelta(days=horizon)


def test_four_months_without_payments_are_no_churn(tmp_path):
    payments = PAYMENTS[(PAYMENTS.day < at(300)) | (PAYMENTS.day >= at(420))]
    deliveries = Deliveries(tmp_path)
    for day in [*range(200, 300, 14), *range(420, 560, 14)]:
        deliveries.deliver(payments, at(day), history=270)
    rows = deliveries.build()
    dates = dates_of(rows)
    # The first date after the silence with a whole lookback; before it, no label may reach into the silence.
    assert not [day for day in dates if at(300 - 31) < day < at(420 + 89)]
    assert labels_of(rows) == expected_labels(payments, dates, 30)
    assert rows.groupby("as_of_date").label.mean().max() < 0.9


@pytest.mark.parametrize("wrong", ["1970-01-01", *(pytest.param(day, marks=pytest.mark.slow) for day in WRONG_DAYS)])
def test_a_payment_of_a_wrong_year_makes_no_dates_and_is_rejected(tmp_path, wrong):
    deliveries, usual = Deliveries(tmp_path / "wrong"), Deliveries(tmp_path / "usual")
    stray = pd.DataFrame([(date.fromisoformat(wrong), 1, 5.0)], columns=["day", "user", "spent"])
    for day in range(200, 300, 14):
        usual.deliver(PAYMENTS, at(day))
        deliveries.deliver(pd.concat([stray, PAYMENTS[PAYMENTS.day > at(day - 180)]]), at(day), history=100_000)
    pd.testing.assert_frame_equal(deliveries.build(), usual.build())
    rejects = pd.read_parquet(tmp_path / "wrong" / "clean" / str(at(200)) / "payments_rejects.parquet")
    assert rejects.line.tolist() == [2] and wrong in rejects.raw[0]
    reason = "is before 1970-01-01" if wrong < "1970" else f"is long before all other payments (from {at(21)})"
    assert rejects.reason.tolist() == [reason]


def test_a_drop_that_arrives_late_counts_as_if_it_had_been_on_time(tmp_path):
    days = list(range(200, 300, 14))
    late, usual = Deliveries(tmp_path / "late"), Deliveries(tmp_path / "usual")
    for day in days:
        usual.deliver(PAYMENTS, at(day))
    for day in [*days[:3], *days[4:], days[3]]:
        late.deliver(PAYMENTS, at(day))
    pd.testing.assert_frame_equal(late.build(), usual.build())


def test_a_replaced_drop_counts_with_its_new_payments_only(tmp_path):
    wrong = PAYMENTS.assign(spent=1.0, user=PAYMENTS.user + 1000)
    replaced, usual = Deliveries(tmp_path / "replaced"), Deliveries(tmp_path / "usual")
    for day in range(200, 300, 14):
        usual.deliver(PAYMENTS, at(day))
        replaced.deliver(wrong if day == 214 else PAYMENTS, at(day))
    before = replaced.build()
    replaced.deliver(PAYMENTS, at(214))
    pd.testing.assert_frame_equal(replaced.build(), usual.build())
    assert not replaced.build().equals(before)


def test_a_withdrawn_drop_does_not_count_although_its_outputs_are_still_there(tmp_path):
    withdrawn, usual = Deliveries(tmp_path / "withdrawn"), Deliveries(tmp_path / "usual")
    for day in range(200, 300, 14):
        withdrawn.deliver(PAYMENTS, at(day))
        if day != 214:
            usual.deliver(PAYMENTS, at(day))
    before = withdrawn.build()
    withdrawn.drops.remove(at(214))
    pd.testing.assert_frame_equal(withdrawn.build(), usual.build())
    assert not withdrawn.build().equals(before)


def test_two_drops_with_the_same_payments_change_no_label(tmp_path):
    deliveries = Deliveries(tmp_path)
    for day in range(200, 300, 14):
        deliveries.deliver(PAYMENTS, at(day))
    # The same file again, a day later.
    deliveries.deliver(PAYMENTS[PAYMENTS.day <= at(284)], at(285))
    rows = deliveries.build()
    assert labels_of(rows) == expected_labels(PAYMENTS, dates_of(rows), 30)


def test_a_user_who_vanishes_and_returns_churns_and_then_is_another_row(tmp_path):
    away = PAYMENTS[(PAYMENTS.user != 7) | (PAYMENTS.day < at(230)) | (PAYMENTS.day > at(310))]
    again = pd.DataFrame([(at(day), 7, 3.0) for day in (225, 229, 311, 330)], columns=["day", "user", "spent"])
    payments = pd.concat([away, again])
    deliveries = Deliveries(tmp_path)
    for day in range(200, 420, 30):
        deliveries.deliver(payments, at(day))
    rows = deliveries.build()
    mine = rows[rows.user_id == 7].set_index("as_of_date").label
    assert mine[at(230)] == 1 and mine[at(290)] == 0, "silent from day 230 to 310"
    assert at(350) in mine.index
    assert labels_of(rows) == expected_labels(payments, dates_of(rows), 30)


def test_a_higher_limit_adds_rows_and_changes_no_value(tmp_path):
    deliveries = Deliveries(tmp_path)
    for day in range(200, 400, 14):
        deliveries.deliver(PAYMENTS, at(day))
    found = {}
    for dates, most in ((4, 2_000_000), (26, 2_000_000), (26, 400), (26, 200)):
        deliveries.params |= {"max_training_dates": dates, "max_training_rows": most}
        found[dates, most] = deliveries.build().set_index(["as_of_date", "user_id"])
        metrics = json.loads((tmp_path / "metrics.json").read_text())
        assert len(metrics["training_dates"]) == dates or metrics["training_dates_left_out"] == 0
        holdout = metrics["as_of_dates"][metrics["holdout_date"]]["rows"]
        train, every = (len(found[dates, limit]) - holdout for limit in (most, 2_000_000))
        assert train <= most and train + metrics["training_rows_left_out"] == every
    whole = found[26, 2_000_000]
    for part in found.values():
        pd.testing.assert_frame_equal(part, whole.loc[part.index])
    users = [set(found[26, most].index.get_level_values("user_id")) for most in (2_000_000, 400, 200)]
    assert users[0] >= users[1] >= users[2]


def test_with_text_ids_each_user_has_the_same_rows(tmp_path):
    numbers, texts = Deliveries(tmp_path / "numbers"), Deliveries(tmp_path / "texts")
    texts.has_text_ids = True
    for day in range(200, 300, 14):
        numbers.deliver(PAYMENTS, at(day))
        texts.deliver(PAYMENTS, at(day))
    # One date that is a drop's, and two that are computed.
    dates = at(150), at(185), at(228)
    found = texts.build(*dates)
    train = found[found.as_of_date < max(dates)]
    assert train.sort_values(["as_of_date", "user_id"]).equals(train), "sorted as text"
    expected = numbers.build(*dates)
    expected = expected.assign(user_id=expected.user_id.map(text_id)).sort_values(["as_of_date", "user_id"])
    pd.testing.assert_frame_equal(found, expected.reset_index(drop=True), check_dtype=False)
    texts.params |= {"max_training_rows": len(train) // 2}
    part = texts.build(*dates)
    users = set(part[part.as_of_date < max(dates)].user_id)
    assert 0 < len(users) < train.user_id.nunique()
    kept = found[found.user_id.isin(users) | (found.as_of_date == max(dates))].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, kept)


def test_drops_with_numbers_and_drops_with_text_ids_are_refused(tmp_path):
    deliveries = Deliveries(tmp_path)
    for day in range(200, 300, 14):
        deliveries.has_text_ids = day >= 256
        deliveries.deliver(PAYMENTS, at(day))
    with pytest.raises(
        UserError, match=r"whole numbers in .*, but text in .*2025-09.* Clean all drops again: dvc repro"
    ):
        deliveries.build()
    clean = tmp_path / "clean" / str(at(200))
    shutil.rmtree(clean / "user_base.parquet")
    shutil.copytree(tmp_path / "clean" / str(at(256)) / "user_base.parquet", clean / "user_base.parquet")
    with pytest.raises(UserError, match=r"whole numbers in .*payments_clean.parquet, but text in .*user_base.parquet"):
        deliveries.compute_features(at(200))


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """Five months of drops, and the rows of three dates."""
    deliveries = Deliveries(tmp_path_factory.mktemp("steady"))
    for day in range(200, 340, 28):
        deliveries.deliver(PAYMENTS, at(day))
    return deliveries, deliveries.build(*THREE)


THREE = at(190), at(228), at(270)


@pytest.mark.slow
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(day=st.integers(60, 339), user=st.sampled_from([1, 3, 7, 11, 999, 5000]), later=st.booleans())
def test_nothing_but_its_own_window_moves_a_date(steady, tmp_path_factory, day, user, later):
    usual, before = steady
    extra = pd.DataFrame([(at(day), user, 77.0)], columns=["day", "user", "spent"])
    changed = Deliveries(tmp_path_factory.mktemp("changed"))
    for drop in usual.drops:
        changed.deliver(pd.concat([PAYMENTS, extra]), drop)
    if later:
        changed.deliver(PAYMENTS.assign(user=PAYMENTS.user + 1), at(360), history=340)
    after = changed.build(*THREE)
    for as_of in THREE:
        one, other = (
            rows[(rows.as_of_date == as_of) & (rows.user_id != 5000)].set_index("user_id") for rows in (before, after)
        )
        if at(day) > as_of or at(day) <= as_of - 90 * DAY:
            pd.testing.assert_frame_equal(one.drop(columns="label"), other.drop(columns="label"))
        if not as_of < at(day) <= as_of + 30 * DAY:
            assert one.label.equals(other.label[one.index])
        assert labels_of(after[after.as_of_date == as_of]) == expected_labels(pd.concat([PAYMENTS, extra]), [as_of], 30)
