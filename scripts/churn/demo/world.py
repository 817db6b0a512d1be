"""The demo's world: people who join, pay, lose interest in the wallet and leave, simulated week by week.

A week's draws depend only on the seed and that week, so simulating one more week does not change the past. All values
computed with exp or log are rounded before use, so that differences in the last digit between machines have no effect.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

EPOCH = date(2025, 7, 7)  # day 0, a Monday; a delivery looks back half a year, so the first is 26 weeks later
SEGMENTS = ("Instore", "Transport", "Utilities", "TopUps", "Transfers", "Delivery", "Entertainment", "Pharmacy")
SEGMENT_PRICE = np.array([100, 18, 140, 30, 180, 75, 60, 55])  # percent of a person's usual amount
CITIES = ("Buenos Aires", "Cordoba", "Rosario", "Mendoza", "La Plata", "Salta", "Tucuman", "Mar del Plata")
CARDS = ("GOLD", "PLATINUM", "BLACK", "CLASSIC")
INVESTMENTS = ("Pending", "Warmup", "Eligible", "Investing")
SELLERS = 400
FIRST_ID = 100_000
BURN_IN_WEEKS = 260  # joins before day 0, as many as the longest stay: the population neither grows nor shrinks
JOINS_PER_WEEK = 0.011  # of the users in a delivery; measured
# One hundred values each to draw from, the popular ones more than once.
WEEKDAYS = np.repeat(np.arange(7), [12, 12, 13, 14, 18, 19, 12])
POPULAR_SEGMENTS = np.repeat(np.arange(len(SEGMENTS)), [30, 18, 10, 14, 10, 9, 5, 4])

PERSON = np.dtype(
    [
        ("id", "i8"),
        ("joined", "i4"),  # day of the first payment
        ("left", "i4"),  # no payment on this day or later
        ("warning", "i4"),  # days before leaving in which the habit fades
        ("rate", "f8"),  # payments a week
        ("amount", "i8"),  # usual payment, cents
        ("bargain", "i4"),  # percent of payments with a discount
        ("segments", "i4", 2),  # favourite kinds of payment
        ("sellers", "i4", 3),  # favourite sellers
        ("loyalty", "i4"),  # percent of payments to a favourite seller
        ("mp", "f8"),  # wallet-app accesses a week
        ("ml", "f8"),  # marketplace-app accesses a week
        ("ml_buying", "f8"),  # days with a marketplace purchase a week
        ("ml_amount", "i8"),  # usual marketplace purchase, cents
        ("balance", "i8"),  # usual highest balance, cents
        ("age", "i4"),
        ("female", "?"),
        ("card", "i4"),
        ("city", "i4"),
        ("invests", "i4"),
        ("spelling", "i4"),  # 0 to 99: how the investment state is spelt
        ("gap", "i4"),  # 0 to 999: which fact about the person is unknown
    ]
)

PAYMENT = np.dtype(
    [
        ("day", "i4"),
        ("user", "i8"),
        ("seller", "i4"),
        ("segment", "i4"),
        ("cents", "i8"),
        ("discount", "i4"),  # percent; -1 unknown
    ]
)


@dataclass(frozen=True)
class World:
    """Everything that happened until the end of the last simulated week.

    Attributes
    ----------
    people : array of PERSON, shape (people,)
        Sorted by id.
    payments : array of PAYMENT, shape (payments,)
        Sorted by day.
    mp, ml, ml_days : array of int, shape (people, weeks)
        Accesses of the wallet app and of the marketplace app, and days with marketplace purchases, in each week.
    ml_spent, balance : array of int, shape (people, weeks)
        Marketplace purchases and the highest balance of each week, cents.
    weekday : array of int, shape (people, weeks)
        0 to 6: the day of the week of the last access and purchase.
    """

    people: NDArray[Any]
    payments: NDArray[Any]
    mp: NDArray[Any]
    ml: NDArray[Any]
    ml_days: NDArray[Any]
    ml_spent: NDArray[Any]
    balance: NDArray[Any]
    weekday: NDArray[Any]


def simulate_world(seed: int, users: int, last_day: date) -> World:
    """Simulate the weeks from EPOCH to a Sunday.

    Parameters
    ----------
    seed : int
        A different seed gives a different world.
    users : int
        Approximate number of users who pay within any 180 days.
    last_day : date
        A Sunday, the end of the last week.
    """
    weeks = ((last_day - EPOCH).days + 1) // 7
    people = _draw_everyone(seed, users, weeks)
    payments, habits = [], []
    for week in range(weeks):
        rng = _generator(seed, 2, week)
        known = people[: np.searchsorted(people["joined"], 7 * week + 7)]
        payments.append(_draw_payments(rng, known, week))
        habits.append(_draw_habits(rng, known, week))
    columns = {name: _stack([week[name] for week in habits], len(people)) for name in habits[0]}
    return World(people, np.concatenate(payments), **columns)


def day_of(day: date) -> int:
    """Return the number of a day."""
    return (day - EPOCH).days


def date_of(day: int) -> str:
    """Return the ISO date of a day's number."""
    return (EPOCH + timedelta(days=int(day))).isoformat()


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *key])))


def _draw_everyone(seed: int, users: int, weeks: int) -> NDArray[Any]:
    joins = users * JOINS_PER_WEEK
    rng = _generator(seed, 0)
    founders = _draw_people(rng, np.sort(rng.integers(-7 * BURN_IN_WEEKS, 0, round(joins * BURN_IN_WEEKS))))
    groups = [founders[founders["left"] > 0]]
    for week in range(weeks):
        rng = _generator(seed, 1, week)
        n = round(joins * (week + 1)) - round(joins * week)
        groups.append(_draw_people(rng, np.sort(rng.integers(7 * week, 7 * week + 7, n))))
    people = np.concatenate(groups)
    people["id"] = FIRST_ID + 7 * np.arange(len(people))
    return people


def _draw_people(rng: np.random.Generator, joined: NDArray[Any]) -> NDArray[Any]:
    n = len(joined)
    people = np.zeros(n, PERSON)
    people["joined"] = joined
    people["rate"] = np.round(0.1 + rng.gamma(1.3, 0.38, n), 3)
    people["amount"] = _lognormal(rng, 2_500, 0.6, n)
    people["bargain"] = np.minimum(rng.integers(0, 60, n), rng.integers(0, 90, n))
    people["segments"] = POPULAR_SEGMENTS[rng.integers(0, 100, (n, 2))]
    people["sellers"] = _popular_seller(rng, (n, 3))
    people["loyalty"] = rng.integers(30, 95, n)
    people["mp"] = np.round((3 + 3 * people["rate"]) * np.exp(0.35 * rng.standard_normal(n)), 2)
    people["ml"] = np.round(2.5 * np.exp(0.6 * rng.standard_normal(n)), 2)
    people["ml_buying"] = np.round(rng.gamma(0.7, 0.3, n), 3)
    people["ml_amount"] = _lognormal(rng, 3_500, 0.7, n)
    people["balance"] = _lognormal(rng, 40_000, 1.0, n)
    people["age"] = 18 + rng.integers(0, 30, n) + rng.integers(0, 30, n)
    people["female"] = rng.integers(0, 100, n) < 52
    people["card"] = np.minimum(rng.integers(0, 4, n), rng.integers(0, 4, n))
    people["city"] = np.minimum(rng.integers(0, 8, n), rng.integers(0, 8, n))
    people["invests"] = rng.integers(0, 4, n)
    people["spelling"] = rng.integers(0, 100, n)
    people["gap"] = rng.integers(0, 1_000, n)
    people["left"] = joined + _draw_stay(rng, people)
    # One in five leaves without a warning.
    people["warning"] = np.where(rng.integers(0, 5, n) == 0, 1, rng.integers(21, 84, n))
    return people


def _draw_stay(rng: np.random.Generator, people: NDArray[Any]) -> NDArray[Any]:
    """Draw the days between joining and leaving, at most the burn-in, so that the population starts steady."""
    mean_days = 480 + 180 * (people["invests"] >= 2) - 4 * people["bargain"] + 2 * (people["age"] - 47)
    mean_days = mean_days + 30 * people["female"]
    days: NDArray[np.int32] = np.round(mean_days * rng.exponential(1.0, len(people))).astype("i4")
    clipped: NDArray[np.int32] = np.clip(days, 1, 7 * BURN_IN_WEEKS)
    return clipped


def _draw_payments(rng: np.random.Generator, known: NDArray[Any], week: int) -> NDArray[Any]:
    buyers = np.repeat(np.arange(len(known)), rng.poisson(known["rate"]))
    days = 7 * week + WEEKDAYS[rng.integers(0, 100, len(buyers))]
    there = (days > known["joined"][buyers]) & (days < known["left"][buyers])
    newcomers = np.flatnonzero(known["joined"] >= 7 * week)
    buyers = np.concatenate([buyers[there], newcomers])
    payments = np.zeros(len(buyers), PAYMENT)
    payments["day"] = np.concatenate([days[there], known["joined"][newcomers]])
    payments["user"] = known["id"][buyers]
    _draw_details(rng, payments, known[buyers])
    return payments[np.lexsort((payments["user"], payments["day"]))]


def _draw_details(rng: np.random.Generator, payments: NDArray[Any], buyer: NDArray[Any]) -> None:
    n = len(payments)
    rows = np.arange(n)
    usual = rng.integers(0, 100, n)
    popular = POPULAR_SEGMENTS[rng.integers(0, 100, n)]
    payments["segment"] = np.select([usual < 55, usual < 75], buyer["segments"].T, popular)
    favourite = buyer["sellers"][rows, rng.integers(0, 3, n)]
    elsewhere = rng.integers(0, 100, n) >= buyer["loyalty"]
    payments["seller"] = np.where(elsewhere, _popular_seller(rng, n), favourite)
    price = buyer["amount"] * SEGMENT_PRICE[payments["segment"]] / 100
    payments["cents"] = np.maximum(50, np.round(price * np.exp(0.5 * rng.standard_normal(n))))
    discounted = rng.integers(0, 100, n) < buyer["bargain"]
    payments["discount"] = np.where(discounted, rng.integers(1, 31, n), 0)
    payments["discount"][rng.integers(0, 100, n) < 3] = -1


def _draw_habits(rng: np.random.Generator, known: NDArray[Any], week: int) -> dict[str, NDArray[Any]]:
    n = len(known)
    habit = _habit(known, 7 * week + 3)
    ml_days = np.minimum(7, rng.poisson(known["ml_buying"] * habit))
    # Some weeks are busy, some quiet.
    mood = np.round(np.exp(0.35 * rng.standard_normal((4, n))), 2)
    return {
        "mp": rng.poisson(known["mp"] * habit * mood[0]),
        "ml": ml_days + rng.poisson(known["ml"] * habit * mood[1]),
        "ml_days": ml_days,
        "ml_spent": ml_days * np.round(known["ml_amount"] * mood[2]).astype("i8"),
        "balance": np.round(known["balance"] * habit * mood[3]).astype("i8"),
        "weekday": rng.integers(0, 7, n),
    }


def _habit(known: NDArray[Any], day: int) -> NDArray[Any]:
    """Return the remaining share of the habit, 0.04 to 1: it fades in the weeks before leaving, but not to zero."""
    left = np.clip((known["left"] - day) / known["warning"], 0, 1)
    return np.where(day < known["left"], 0.15 + 0.85 * left, 0.04 + 0.11 * (day - known["left"] < 28))


def _popular_seller(rng: np.random.Generator, shape: int | tuple[int, ...]) -> NDArray[Any]:
    return (SELLERS * rng.random(shape) ** 2).astype("i4")


def _lognormal(rng: np.random.Generator, median: int, spread: float, n: int) -> NDArray[Any]:
    return np.round(median * np.exp(spread * rng.standard_normal(n))).astype("i8")


def _stack(weeks: list[NDArray[Any]], people: int) -> NDArray[Any]:
    stacked = np.zeros((people, len(weeks)), weeks[0].dtype)
    for week, column in enumerate(weeks):
        stacked[: len(column), week] = column
    return stacked
