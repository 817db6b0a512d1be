"""The days of a delivery's payments: which are typing errors, and which spans of days the payments cover."""

from datetime import date, timedelta
from itertools import pairwise
from statistics import median

DAY = timedelta(days=1)

# ASSUME: payments before or after all others are typing errors of the date, when they are few.
STRAY_SHARE, STRAY_GAP = 0.01, timedelta(days=30)
# A day with fewer than this share of the payments of a usual day has few. So has a day with a single payment if so
# many are usual: far from the other days, or near them.
FEW, ALONE_FAR, ALONE_NEAR = 0.05, 2, 8
# A span goes on over days without a payment that are not more than this.
SHORT_GAP = timedelta(days=3)
# A silence is a gap in the data if it is longer than this and than this many times the usual step from one day with
# payments to the next, and if this many payments were to be expected in it.
SILENCE, UNUSUAL, EXPECTED = timedelta(days=7), 3, 20

Days = dict[date, int]
Span = tuple[date, date]


def oldest_plausible(days: Days) -> date:
    """Return the oldest day that is not a typing error.

    A day more than STRAY_GAP before the next one is not plausible, nor is one with few payments that is more than
    SHORT_GAP before the next, nor is any before them, if at most STRAY_SHARE of the rows have these days.

    Parameters
    ----------
    days : dict of int
        How many rows each day has; not empty.
    """
    return _plausible(days, sorted(days), SHORT_GAP)


def newest_plausible(days: Days) -> date:
    """Return the newest day that is not a typing error.

    The rule is the same, but at this end a day with few payments is never plausible: the day names a drop, and the drop
    of a wrong day would lack payments that are not missing.
    """
    return _plausible(days, sorted(days, reverse=True), timedelta(0))


def _plausible(days: Days, from_the_end: list[date], short: timedelta) -> date:
    plausible, beyond, most = from_the_end[0], 0, STRAY_SHARE * sum(days.values())
    usual = median(days.values())
    for day, nearer in pairwise(from_the_end):
        beyond += days[day]
        if beyond > most:
            break
        gap = abs(nearer - day)
        is_alone = days[day] == 1 and usual >= (ALONE_FAR if gap > SHORT_GAP else ALONE_NEAR)
        if gap > STRAY_GAP or (gap > short and (is_alone or days[day] < FEW * usual)):
            plausible = nearer
    return plausible


def find_silences(days: Days) -> list[tuple[date, date, int]]:
    """Return the gaps in the data: the first and last day of each, and how many payments were to be expected.

    Whether some days without a payment are a gap depends on how many payments a day usually has.

    Parameters
    ----------
    days : dict of int
        How many rows each day has; not empty.
    """
    every = sorted(days)
    gaps = [(day + DAY, after - DAY) for day, after in pairwise(every) if after - day > DAY]
    if not gaps:
        return []
    # Payments of every second week have gaps, too.
    step = median((after - day).days for day, after in pairwise(every))
    long = [(first, last) for first, last in gaps if (last - first).days + 1 > max(SILENCE.days, UNUSUAL * step)]
    silent = sum((last - first).days + 1 for first, last in long)
    usual = sum(days.values()) / ((every[-1] - every[0]).days + 1 - silent)
    expected = [round(usual * ((last - first).days + 1)) for first, last in long]
    return [(first, last, rows) for (first, last), rows in zip(long, expected, strict=True) if rows >= EXPECTED]


def find_spans(days: Days) -> list[Span]:
    """Return the first and last day of each span of days with payments, oldest first."""
    spans: list[Span] = []
    for day in sorted(days):
        if spans and day - spans[-1][1] <= SHORT_GAP:
            spans[-1] = spans[-1][0], day
        else:
            spans.append((day, day))
    return spans
