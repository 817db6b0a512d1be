"""The five CSVs of a delivery from the demo's world, with a few faulty rows as in real files."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churn.data.contract import FILES
from churn.demo.world import CARDS, CITIES, EPOCH, INVESTMENTS, SEGMENTS, World, date_of

HISTORY_DAYS = 180
SIX_MONTHS, MONTH = 26, 4  # weeks; a month of accesses and balances is four weeks
FIRST_DROP = EPOCH + timedelta(weeks=SIX_MONTHS, days=-1)
TOO_FEW, TWICE = "too few fields", "the line twice"
# One payment and one person in this many is faulty, with each kind of fault in turn: the column and the wrong value.
PAYMENTS_A_FAULT, PEOPLE_A_FAULT = 2_900, 400
PAYMENT_FAULTS = (
    ("FECHA", "2026-02-31"),
    ("FECHA", "2027-01-15"),
    ("CUS_CUST_ID_BUY", ""),
    ("SPENT", "-25.00"),
    ("SPENT", "0.00"),
    ("SPENT", "N/A"),
    ("SPENT", '"1.234,56"'),
    ("DESCUENTO", "1.7"),
    ("FECHA", TOO_FEW),
    ("SPENT", "1,234.56"),
)
USER_FAULTS = (
    ("ACTIVE_USER.csv", "MAU_MP_1", "-1"),
    ("ACTIVE_USER.csv", "last_login_mp_date_1", "2027-01-15"),
    ("ACTIVE_USER.csv", "MAU_MP_1", TWICE),
    ("ACTIVE_USER.csv", "MAU_MP_1", TOO_FEW),
    ("DEMOGRAFICOS.csv", "GENDER", "X"),
    ("DEMOGRAFICOS.csv", "AGE", "199"),
    ("DEMOGRAFICOS.csv", "AGE", TWICE),
    ("DINERO_CUENTA.csv", "PLATA_CUENTA_1", '"1.234,56"'),
    ("DINERO_CUENTA.csv", "INVERSION", "Unknown"),
    ("MARKETPLACE_DATA.csv", "SPENT_ML", "-30.00"),
    ("MARKETPLACE_DATA.csv", "RECENCY_ML", "2026-02-31"),
)


def payment_lines(payments: NDArray[Any]) -> list[str]:
    """Return the line of each payment, with faults; a payment has the same line in every drop."""
    first, last = payments["day"][0], payments["day"][-1]
    days = [date_of(day) for day in range(first, last + 1)]
    columns = (payments[name].tolist() for name in ("day", "seller", "user", "cents", "segment", "discount"))
    rows = [
        [days[day - first], f"SELLER_{seller}", str(user), _money(cents), SEGMENTS[segment], _fraction(discount)]
        for day, seller, user, cents, segment, discount in zip(*columns, strict=True)
    ]
    lines = [",".join(row) for row in rows]
    faulty = range(PAYMENTS_A_FAULT // 2, len(lines), PAYMENTS_A_FAULT)
    for at, (column, value) in zip(faulty, cycle(PAYMENT_FAULTS), strict=False):
        lines[at] = spoil(rows[at], "PAYMENTS.csv", column, value)
    return lines


def drop_files(world: World, lines: list[str], drop: int) -> dict[str, bytes]:
    """Return the content of the five files of a delivery on that day."""
    first, end = np.searchsorted(world.payments["day"], [drop - HISTORY_DAYS + 1, drop + 1])
    known, payments = _restrict(world, np.unique(world.payments["user"][first:end]), drop), lines[first:end]
    last_paid = dict(zip(world.payments["user"][first:end].tolist(), world.payments["day"][first:end], strict=True))
    rows = {
        "ACTIVE_USER.csv": active_user_rows(known, drop, last_paid),
        "DEMOGRAFICOS.csv": demographics_rows(known),
        "DINERO_CUENTA.csv": balance_rows(known),
        "MARKETPLACE_DATA.csv": marketplace_rows(known, drop),
    }
    faulty = world.people["id"][PEOPLE_A_FAULT // 2 :: PEOPLE_A_FAULT].astype(str)
    faults = dict(zip(faulty.tolist(), cycle(USER_FAULTS), strict=False))
    files = {"PAYMENTS.csv": payments} | {name: user_lines(name, rows[name], faults) for name in rows}
    return {name: "\n".join([",".join(FILES[name]), *files[name], ""]).encode() for name in files}


def active_user_rows(known: World, drop: int, last_paid: dict[int, int]) -> list[list[str]]:
    """Accesses of the last four weeks and the four before, and the day of the last login or payment."""
    people, mp = known.people, known.mp[:, -MONTH:].sum(axis=1)
    ml, ml_before = known.ml[:, -MONTH:].sum(axis=1), known.ml[:, -2 * MONTH : -MONTH].sum(axis=1)
    logins = _last_day(known, known.mp, drop)
    return [
        [
            str(user),
            "" if 100 <= gap < 110 else str(accesses),
            str(now),
            str(before),
            date_of(max(login, last_paid[user])),
        ]
        for user, gap, accesses, now, before, login in _columns(people["id"], people["gap"], mp, ml, ml_before, logins)
    ]


def demographics_rows(known: World) -> list[list[str]]:
    """Age, gender, card and city; some unknown."""
    names = ("id", "gap", "age", "female", "card", "city")
    return [
        [
            str(user),
            "" if gap < 40 else str(age),
            "" if 110 <= gap < 130 else "MF"[female],
            CARDS[card],
            "" if 40 <= gap < 60 else CITIES[city],
        ]
        for user, gap, age, female, card, city in _columns(*(known.people[name] for name in names))
    ]


def balance_rows(known: World) -> list[list[str]]:
    """Highest balance of the last four weeks and the four before, and the state of the investment account."""
    people, now = known.people, known.balance[:, -MONTH:].max(axis=1)
    before = known.balance[:, -2 * MONTH : -MONTH].max(axis=1)
    names = ("id", "gap", "invests", "spelling")
    return [
        [
            str(user),
            "" if 60 <= gap < 80 else _money(cents),
            "" if 80 <= gap < 100 else _money(cents_before),
            "" if 130 <= gap < 160 else _spell(INVESTMENTS[invests], spelling),
        ]
        for user, gap, invests, spelling, cents, cents_before in _columns(
            *(people[name] for name in names), now, before
        )
    ]


def marketplace_rows(known: World, drop: int) -> list[list[str]]:
    """Purchases of six months. Half of those who bought nothing are not in the file."""
    days = known.ml_days.sum(axis=1)
    columns = (
        known.people["id"],
        known.people["gap"],
        days,
        known.ml_spent.sum(axis=1),
        _last_day(known, known.ml_days, drop),
    )
    return [
        [str(user), _money(spent), date_of(last) if bought else "", str(bought)]
        for user, gap, bought, spent, last in _columns(*columns)
        if bought or gap < 500
    ]


def user_lines(name: str, rows: list[list[str]], faults: dict[str, tuple[str, str, str]]) -> list[str]:
    """Return the lines of a user file, with faults."""
    lines = []
    for row in rows:
        file, column, value = faults.get(row[0], ("", "", ""))
        lines.append(spoil(row, name, column, value) if file == name else ",".join(row))
    return lines


def spoil(row: list[str], name: str, column: str, value: str) -> str:
    """Return a row's line with one fault."""
    if value == TWICE:
        return "\n".join([",".join(row)] * 2)
    if value == TOO_FEW:
        return ",".join(row[:-2])
    at = list(FILES[name]).index(column)
    return ",".join([*row[:at], value, *row[at + 1 :]])


def _restrict(world: World, users: NDArray[Any], drop: int) -> World:
    """Return the world of these users in the six months before the drop."""
    at, weeks = np.searchsorted(world.people["id"], users), slice((drop + 1) // 7 - SIX_MONTHS, (drop + 1) // 7)
    names = ("mp", "ml", "ml_days", "ml_spent", "balance", "weekday")
    return World(world.people[at], world.payments, **{name: getattr(world, name)[at, weeks] for name in names})


def _last_day(known: World, counts: NDArray[Any], drop: int) -> NDArray[Any]:
    """Return the day of the last count above zero; meaningless where all counts are zero."""
    last_week = counts.shape[1] - 1 - np.argmax(counts[:, ::-1] > 0, axis=1)
    day = drop + 1 - 7 * (counts.shape[1] - last_week) + known.weekday[np.arange(len(counts)), last_week]
    last: NDArray[np.int64] = np.maximum(day, known.people["joined"])
    return last


def _columns(*arrays: NDArray[Any]) -> Iterable[tuple[Any, ...]]:
    return zip(*(array.tolist() for array in arrays), strict=True)


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _fraction(percent: int) -> str:
    return "" if percent < 0 else f"0.{percent:02d}"


def _spell(state: str, spelling: int) -> str:
    """Return the state in one of the spellings that the contract accepts."""
    if spelling < 3:
        return state.lower()
    if spelling < 6:
        return f" {state} "
    return "Elegible" if state == "Eligible" and spelling < 20 else state
