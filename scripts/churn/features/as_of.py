"""Choose the as-of dates of the training set, and the drops to read the facts of each date from.

The rules below never change a date's facts when a later drop arrives. For an as-of date T:

- payments up to T: the earliest drop dated T or later that covers the lookback;
- undated facts (accesses, balances, marketplace): the newest drop dated T or earlier;
- the label, payments in (T, T + horizon]: the earliest drop that covers the last of these days and, as long as it does
  not cover them all, the earliest that covers the last day before it.

A drop covers the days from its first payment to its date, but not a long silence in between: whether users left or the
data is missing cannot be known (`churn.features.coverage`).
"""

import datetime
from dataclasses import dataclass
from datetime import date, timedelta

from churn.base.command import UserError

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Drop:
    """A cleaned drop: its date, and the first and last day of each span of days that it covers, oldest first."""

    date: datetime.date
    spans: tuple[tuple[datetime.date, datetime.date], ...]

    def __str__(self) -> str:
        return f"drop {self.date} covers " + " and ".join(f"{first} to {last}" for first, last in self.spans)

    @property
    def first_payment(self) -> datetime.date:
        """The day of its first payment."""
        return self.spans[0][0]

    @property
    def days(self) -> int:
        """Days from its first payment to its date, both included."""
        return (self.date - self.first_payment).days + 1

    def covered_since(self, day: datetime.date) -> datetime.date | None:
        """Return the first day of the span that a day is in, None if the drop does not cover that day."""
        return next((first for first, last in self.spans if first <= day <= last), None)

    def covers(self, first: datetime.date, last: datetime.date) -> bool:
        """Return whether the drop covers all of these days."""
        since = self.covered_since(last)
        return since is not None and since <= first


@dataclass(frozen=True)
class Windows:
    """The days of payments before and after an as-of date: `lookback` up to and including it, `horizon` after it."""

    lookback: int
    horizon: int

    def known(self, as_of: date) -> tuple[date, date]:
        """Return the first and last day of the lookback."""
        return as_of - timedelta(days=self.lookback - 1), as_of

    def future(self, as_of: date) -> tuple[date, date]:
        """Return the first and last day of the horizon."""
        return as_of + DAY, as_of + timedelta(days=self.horizon)


@dataclass(frozen=True)
class Dates:
    """As-of dates: of training, oldest first, of the holdout, and how many older ones are left out."""

    training: list[date]
    holdout: date
    left_out: int = 0

    @property
    def all(self) -> list[date]:
        """The training dates and the holdout date."""
        return [*self.training, self.holdout]


def check_lookback(drop: Drop, as_of: date, lookback_days: int) -> None:
    """Raise `UserError` unless the drop's payments go back to the first day of the lookback."""
    if drop.first_payment > as_of - timedelta(days=lookback_days - 1):
        needed = (drop.date - as_of).days + lookback_days
        raise UserError(
            f"Drop {drop.date} has too little history: its payments begin on {drop.first_payment} and cover "
            f"{drop.days} days, but a lookback of {lookback_days} days before {as_of} needs {needed}. Deliver more "
            "days of payments, or lower build_features.lookback_days in params.yaml."
        )


def newest_until(drops: list[Drop], day: date) -> Drop | None:
    """Return the newest drop dated `day` or earlier, or None if all are later."""
    return max((drop for drop in drops if drop.date <= day), key=lambda drop: drop.date, default=None)


def drop_of_payments(drops: list[Drop], as_of: date, windows: Windows) -> Drop | None:
    """Return the drop to read the payments up to an as-of date from, None if no drop covers the lookback."""
    covering = [drop for drop in drops if drop.date >= as_of and drop.covers(*windows.known(as_of))]
    return min(covering, key=lambda drop: drop.date, default=None)


def drops_of_label(drops: list[Drop], as_of: date, windows: Windows) -> list[Drop]:
    """Return the drops to read a label from, newest days first.

    Raises
    ------
    UncoveredError
        When no drop covers one of the days.
    """
    first, day = windows.future(as_of)
    chosen: list[Drop] = []
    while day >= first:
        covering = [drop for drop in drops if drop.covered_since(day)]
        if not covering:
            raise UncoveredError(as_of, day)
        drop = min(covering, key=lambda drop: drop.date)
        chosen.append(drop)
        day = (drop.covered_since(day) or day) - DAY
    return chosen


class UncoveredError(Exception):
    """A label that has no payments for one of its days."""

    def __init__(self, as_of: date, day: date):
        super().__init__(as_of, day)
        self.day = day


def is_usable(drops: list[Drop], as_of: date, windows: Windows) -> bool:
    """Return whether a date has a complete lookback and a label."""
    try:
        return bool(drop_of_payments(drops, as_of, windows) and drops_of_label(drops, as_of, windows))
    except UncoveredError:
        return False


def take_as_of_dates(drops: list[Drop], listed: list[date], windows: Windows) -> Dates:
    """Split listed dates into training dates and the holdout date, the newest.

    Raises
    ------
    UserError
        When a training label would overlap the holdout's features, or a date lacks a label or a complete lookback.
    """
    *training, holdout = sorted(listed)
    where, horizon = "build_training_set.as_of_dates in params.yaml", timedelta(days=windows.horizon)
    newest = max(drop.date for drop in drops)
    if not training:
        raise UserError(f"{where} lists only {holdout}; list at least two dates: the newest is the holdout.")
    if holdout > newest - horizon:
        raise UserError(
            f"{where} lists {holdout}, which has no label yet: that needs payments up to {holdout + horizon}, but the "
            f"newest drop is {newest}. The latest date with a label is {newest - horizon}."
        )
    if overlapping := [day for day in training if day > holdout - horizon]:
        raise UserError(
            f"{where} lists {', '.join(map(str, overlapping))}, less than {windows.horizon} days before the holdout of "
            f"{holdout}: the training labels would overlap the holdout's features. Remove them, or list a later "
            "holdout."
        )
    for day in listed:
        check_listed(drops, day, windows, where)
    return Dates(training, holdout)


def check_listed(drops: list[Drop], day: date, windows: Windows, where: str) -> None:
    """Raise `UserError` unless a listed date has a complete lookback and a label."""
    if not drop_of_payments(drops, day, windows):
        earliest = min((drop for drop in drops if drop.date >= day), key=lambda drop: drop.date)
        check_lookback(earliest, day, windows.lookback)
        first, last = windows.known(day)
        raise UserError(
            f"{where} lists {day}, but its lookback from {first} to {last} has a long silence in every "
            f"drop. Remove it, or deliver the missing payments ({earliest})."
        )
    try:
        drops_of_label(drops, day, windows)
    except UncoveredError as error:
        first, last = windows.future(day)
        raise UserError(
            f"{where} lists {day}, whose label needs the payments from {first} to {last}, but no drop covers "
            f"{error.day}. Remove the date, or deliver a drop with these payments."
        ) from None


def choose_as_of_dates(drops: list[Drop], windows: Windows, most: int) -> Dates:
    """Choose the training dates and the holdout date.

    The newest date of a drop that has a label is the holdout; if none has, the holdout is counted backwards from the
    newest drop in steps of the horizon. For training are the dates of drops that are at least one horizon older, so
    that no training label overlaps the holdout's features, and dates counted backwards from the oldest of them in steps
    of the horizon, as long as payments cover them.

    Parameters
    ----------
    drops : list of Drop
        At least one.
    windows : Windows
        Lookback and horizon.
    most : int
        At most this many training dates are kept, the newest.

    Raises
    ------
    UserError
        When the history is too short for a holdout and one training date.
    """
    horizon = timedelta(days=windows.horizon)
    newest, oldest_payment = max(drop.date for drop in drops), min(drop.first_payment for drop in drops)
    labelled = [
        drop.date for drop in drops if drop.covers(*windows.known(drop.date)) and is_usable(drops, drop.date, windows)
    ]
    backwards = (newest - oldest_payment).days // windows.horizon
    if labelled:
        oldest = min(labelled)
    else:
        steps = (newest - horizon * number for number in range(1, backwards + 1))
        oldest = next((day for day in steps if is_usable(drops, day, windows)), newest)
        labelled = [oldest] if oldest < newest else []
    day = oldest - horizon
    while labelled and is_usable(drops, day, windows):
        labelled.append(day)
        day -= horizon
    training = sorted(day for day in labelled if day <= max(labelled) - horizon)
    if not training:
        raise UserError(_too_little(drops, newest, windows))
    return Dates(training[-most:], max(labelled), max(0, len(training) - most))


def _too_little(drops: list[Drop], newest: date, windows: Windows) -> str:
    since = newest - timedelta(days=2 * windows.horizon)
    drop = min((drop for drop in drops if drop.date >= since), key=lambda drop: drop.date)
    needed = windows.lookback + (drop.date - newest).days + 2 * windows.horizon
    # The spans tell of a silence; without one, the number of days is all there is to say.
    covered = f" ({drop})" if drop.spans[1:] else f" (from {drop.first_payment})"
    return (
        f"Too little history for a holdout and one training date: drop {drop.date} covers {drop.days} days of "
        f"payments{covered}, and {needed} are needed without a long silence: "
        f"build_features.lookback_days ({windows.lookback}) and twice build_training_set.horizon_days "
        f"({windows.horizon}). Deliver more days of payments, or lower one of the two in params.yaml."
    )
