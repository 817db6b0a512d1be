"""The days of a delivery's payments: which are typing errors, and which spans of days the payments cover."""

from datetime import date, timedelta
from itertools import pairwise

# ASSUME: payments far before or after all others are typing errors of the year or month, when they are few.
STRAY_SHARE, STRAY_GAP = 0.01, timedelta(days=30)
# A span goes on over days without a payment that are not more than this.
SHORT_GAP = timedelta(days=3)

Days = dict[date, int]
Span = tuple[date, date]


def oldest_plausible(days: Days) -> date:
    """Return the oldest day that is not a typing error.

    A day more than STRAY_GAP before the next one is not plausible, nor is any before it, if at most STRAY_SHARE of the
    rows have these days.

    Parameters
    ----------
    days : dict of int
        How many rows each day has; not empty.
    """
    return _plausible(days, sorted(days))


def newest_plausible(days: Days) -> date:
    """Return the newest day that is not a typing error, by the same rule."""
    return _plausible(days, sorted(days, reverse=True))


def _plausible(days: Days, from_the_end: list[date]) -> date:
    plausible, beyond, most = from_the_end[0], 0, STRAY_SHARE * sum(days.values())
    for day, nearer in pairwise(from_the_end):
        beyond += days[day]
        if beyond > most:
            break
        if abs(nearer - day) > STRAY_GAP:
            plausible = nearer
    return plausible


def find_spans(days: Days) -> list[Span]:
    """Return the first and last day of each span of days with payments, oldest first."""
    spans: list[Span] = []
    for day in sorted(days):
        if spans and day - spans[-1][1] <= SHORT_GAP:
            spans[-1] = spans[-1][0], day
        else:
            spans.append((day, day))
    return spans
