"""The date of a delivery: the newest day of its payments that is not a typing error."""

from datetime import date, timedelta
from pathlib import Path

from churn.base.command import UserError
from churn.data.payment_days import newest_plausible

SILENT_DAYS = 7


def choose_drop_date(payments: Path, days: dict[date, int], today: date) -> date:
    """Return the newest plausible day of the payments.

    A day after tomorrow is not plausible, nor is one that `churn.data.payment_days` takes for a typing error.

    Raises
    ------
    UserError
        When every day is in the future.
    """
    # Where the data comes from, it may be tomorrow already.
    if not days:
        raise UserError(f"{payments} has no payment: all of its rows are refunds or were rejected. Deliver payments.")
    past = {day: rows for day, rows in days.items() if day <= today + timedelta(days=1)}
    if not past:
        raise UserError(
            f"{payments}: every FECHA, from {min(days)}, is after today ({today}). Correct the dates, or this "
            "machine's clock."
        )
    newest = newest_plausible(past)
    if strays := sum(rows for day, rows in days.items() if day > newest):
        print(
            f"{payments.name}: {strays} rows are dated after {newest} (up to {max(days)}); they are treated as typing "
            "errors and will be rejected."
        )
    return newest


def check_drop_date(payments: Path, drop: date, newest: date, days: dict[date, int]) -> None:
    """Raise `UserError` if payments after the drop's date would be lost; warn if the last days have no payments."""
    if drop < newest:
        rows = sum(count for day, count in days.items() if drop < day <= newest)
        raise UserError(
            f"{payments} has {rows} payments after {drop}, up to {newest}, which would be rejected. Omit --drop (the "
            f"drop is then {newest}), or remove those rows from the file."
        )
    if (drop - newest).days > SILENT_DAYS:
        print(
            f"WARNING: the newest payment is from {newest}, {(drop - newest).days} days before {drop}: all users will "
            f"seem to have stopped paying. If the payments end there, use --drop {newest}."
        )
