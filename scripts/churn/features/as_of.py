"""Choose the as-of dates of the training set, and the drops to read the facts of each date from.

The rules below never change a date's facts when a later drop arrives. For an as-of date T:

- payments up to T: the earliest drop dated T or later;
- undated facts (accesses, balances, marketplace): the newest drop dated T or earlier;
- the label, payments in (T, T + horizon]: the earliest drop dated T + horizon or later.
"""

import datetime
from dataclasses import dataclass
from datetime import date, timedelta

from churn.base.command import UserError


@dataclass(frozen=True)
class Drop:
    """A cleaned drop: its date and the day of its first payment."""

    date: datetime.date
    first_payment: datetime.date

    @property
    def days(self) -> int:
        """Days of payments that the drop covers, including its date."""
        return (self.date - self.first_payment).days + 1


def earliest_since(drops: list[Drop], day: date) -> Drop:
    """Return the earliest drop dated `day` or later; there must be one."""
    return min((drop for drop in drops if drop.date >= day), key=lambda drop: drop.date)


def newest_until(drops: list[Drop], day: date) -> Drop | None:
    """Return the newest drop dated `day` or earlier, or None if all are later."""
    return max((drop for drop in drops if drop.date <= day), key=lambda drop: drop.date, default=None)


def check_lookback(drop: Drop, as_of: date, lookback_days: int) -> None:
    """Raise `UserError` unless the drop's payments cover the whole lookback up to the as-of date."""
    if not _covers(drop, as_of - timedelta(days=lookback_days - 1)):
        needed = (drop.date - as_of).days + lookback_days
        raise UserError(
            f"Drop {drop.date} has too little history: its payments begin on {drop.first_payment} and cover "
            f"{drop.days} days, but a lookback of {lookback_days} days before {as_of} needs {needed}. Deliver more "
            "days of payments, or lower build_features.lookback_days in params.yaml."
        )


def take_as_of_dates(
    drops: list[Drop], listed: list[date], lookback_days: int, horizon_days: int
) -> tuple[list[date], date]:
    """Split listed dates into training dates, oldest first, and the holdout date, the newest.

    Raises
    ------
    UserError
        When a training label would overlap the holdout's features, or a date lacks a label or a complete lookback.
    """
    *training, holdout = sorted(listed)
    where, horizon = "build_training_set.as_of_dates in params.yaml", timedelta(days=horizon_days)
    last = max(drop.date for drop in drops) - horizon
    if not training:
        raise UserError(f"{where} lists only {holdout}; list at least two dates: the newest is the holdout.")
    if holdout > last:
        raise UserError(
            f"{where} lists {holdout}, which has no label yet: that needs payments up to {holdout + horizon}, but the "
            f"newest drop is {max(drop.date for drop in drops)}. The latest date with a label is {last}."
        )
    if overlapping := [day for day in training if day > holdout - horizon]:
        raise UserError(
            f"{where} lists {', '.join(map(str, overlapping))}, less than {horizon_days} days before the holdout of "
            f"{holdout}: the training labels would overlap the holdout's features. Remove them, or list a later "
            "holdout."
        )
    for day in listed:
        check_lookback(earliest_since(drops, day), day, lookback_days)
    return training, holdout


def choose_as_of_dates(drops: list[Drop], lookback_days: int, horizon_days: int) -> tuple[list[date], date]:
    """Choose the training dates and the holdout date.

    Drop dates with a label are used if there are enough: the newest is the holdout, and those at least one horizon
    older are for training, so that no training label overlaps the holdout's features. Otherwise dates are counted
    backwards from the newest drop in steps of the horizon, as far as payments cover the lookback.

    Returns
    -------
    tuple of (list of date, date)
        Training dates, oldest first, and the holdout date.

    Raises
    ------
    UserError
        When the history is too short for a holdout and one training date.
    """
    newest, horizon = max(drop.date for drop in drops), timedelta(days=horizon_days)
    labelled = [drop.date for drop in drops if drop.date + horizon <= newest]
    training = [day for day in labelled if day <= max(labelled) - horizon]
    if training:
        for drop in drops:
            if drop.date in (*training, max(labelled)):
                check_lookback(drop, drop.date, lookback_days)
        return sorted(training), max(labelled)
    days = _dates_backwards(drops, newest, lookback_days, horizon)
    if len(days) < 2:
        drop = earliest_since(drops, newest - 2 * horizon)
        needed = lookback_days + (drop.date - newest).days + 2 * horizon_days
        raise UserError(
            f"Too little history for a holdout and one training date: drop {drop.date} covers {drop.days} days of "
            f"payments (from {drop.first_payment}), and {needed} are needed: build_features.lookback_days "
            f"({lookback_days}) and twice build_training_set.horizon_days ({horizon_days}). Deliver more days of "
            "payments, or lower one of the two in params.yaml."
        )
    return sorted(days[1:]), days[0]


def _dates_backwards(drops: list[Drop], newest: date, lookback_days: int, horizon: timedelta) -> list[date]:
    days, day = [], newest - horizon
    while _covers(earliest_since(drops, day), day - timedelta(days=lookback_days - 1)):
        days.append(day)
        day -= horizon
    return days


def _covers(drop: Drop, first_day: date) -> bool:
    return drop.first_payment <= first_day
