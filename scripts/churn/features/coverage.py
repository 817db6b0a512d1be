"""Which days each drop covers, and which drops the training set is read from."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from churn.base.command import UserError
from churn.base.reading import read_json
from churn.data.payment_days import SHORT_GAP
from churn.features.as_of import (
    Dates,
    Drop,
    Windows,
    choose_as_of_dates,
    drop_of_payments,
    drops_of_label,
    newest_until,
    take_as_of_dates,
)

FOLDERS = ("clean", "features")
# Longer than this, whether users left or the data is missing cannot be known, whatever the horizon.
MOST_SILENT = timedelta(days=30)


def allowed_silence(horizon_days: int) -> timedelta:
    """Return how long a silence is covered: in a longer one, all users would seem to have churned.

    It is a third of the horizon, but at least SHORT_GAP and at most MOST_SILENT.
    """
    return max(SHORT_GAP, min(MOST_SILENT, timedelta(days=horizon_days // 3)))


def open_drop(coverage: Path, drop: date, silence: timedelta) -> Drop:
    """Return the drop with the days that it covers.

    Parameters
    ----------
    coverage : Path
        Folder of the metrics of clean_payments.
    silence : timedelta
        Days without a payment that are covered, if payments follow; see `allowed_silence`.

    Raises
    ------
    UserError
        When the drop has no payments, or they have not been cleaned.
    """
    path = coverage / f"{drop}.json"
    if not path.exists():
        raise UserError(
            f"{path} is missing: the payments of {drop} have not been cleaned. If the drop was added while this run "
            "was under way, run again."
        )
    covered = read_json(path)["PAYMENTS.csv"]["covered"]
    if not covered:
        raise UserError(f"Drop {drop} has no valid payments; see data/clean/{drop}/payments_rejects.parquet.")
    spans: list[tuple[date, date]] = []
    for first, last in ((date.fromisoformat(first), date.fromisoformat(last)) for first, last in covered):
        if spans and first - spans[-1][1] <= silence:
            spans[-1] = spans[-1][0], last
        else:
            spans.append((first, last))
    if drop - spans[-1][1] <= silence:
        spans[-1] = spans[-1][0], drop
    return Drop(drop, tuple(spans))


def find_dates(drops: list[Drop], params: dict[str, Any]) -> tuple[Dates, Windows]:
    """Return the as-of dates that params.yaml lists, or those that are chosen, and their windows.

    Parameters
    ----------
    params : dict
        Sections build_features and build_training_set of params.yaml.

    Raises
    ------
    UserError
        When the history is too short, or the listed dates cannot be used.
    """
    windows = Windows(params["lookback_days"], params["horizon_days"])
    listed = [date.fromisoformat(day) for day in params["as_of_dates"]]
    if listed:
        return take_as_of_dates(drops, listed, windows), windows
    return choose_as_of_dates(drops, windows, params["max_training_dates"]), windows


@dataclass
class Sources:
    """The drops that an as-of date is read from.

    Attributes
    ----------
    features : date or None
        The drop with this date, whose features are read; None if they are computed from the next two.
    payments, users : date or None
        The drops to compute the features from.
    label : list of date
        The drops with the payments of the horizon.
    """

    features: date | None = None
    payments: date | None = None
    users: date | None = None
    label: list[date] = field(default_factory=list)


def find_sources(drops: list[Drop], as_of: date, windows: Windows) -> Sources:
    """Return where the facts of a usable as-of date are read from."""
    history = drop_of_payments(drops, as_of, windows)
    assert history is not None, "an as-of date has a complete lookback"
    label = [drop.date for drop in drops_of_label(drops, as_of, windows)]
    if history.date == as_of:
        return Sources(features=as_of, label=label)
    known = newest_until(drops, as_of) or min(drops, key=lambda drop: drop.date)
    return Sources(payments=history.date, users=known.date, label=label)


def list_tables(coverage: Path, drops: list[date], params: dict[str, Any]) -> list[str] | None:
    """Return the tables that the training set is read from, None if that cannot be known before it is built.

    A drop that has not been cleaned is taken to cover as many days as the one before it. The newest is always named.
    """
    known: list[Drop] = []
    missing = {day for day in drops if not (coverage / f"{day}.json").exists()}
    new = {f"data/{folder}/{day}" for day in {*missing, drops[-1]} for folder in FOLDERS}
    try:
        for day in drops:
            if day not in missing:
                known.append(open_drop(coverage, day, allowed_silence(params["horizon_days"])))
            elif known:
                moved = day - known[-1].date
                known.append(Drop(day, tuple((first + moved, last + moved) for first, last in known[-1].spans)))
        dates, windows = find_dates(known, params)
    except (UserError, LookupError, ValueError):
        return None
    for day in dates.all:
        sources = find_sources(known, day, windows)
        new |= {f"data/features/{sources.features}"} if sources.features else set()
        new |= {f"data/clean/{drop}" for drop in (sources.payments, sources.users, *sources.label) if drop}
    return sorted(new)
