"""The date of a delivery: the newest day of its payments that is not a typing error."""

import csv
from datetime import date, timedelta
from pathlib import Path

import duckdb

from churn.base.command import UserError
from churn.data.contract import MAX_LINE_BYTES, check_header
from churn.data.payment_days import newest_plausible

SILENT_DAYS = 7
MAX_QUOTED = 2000


def count_payment_days(payments: Path) -> dict[date, int]:
    """Return how many rows each readable FECHA has, oldest first.

    Raises
    ------
    UserError
        When the file is not a CSV, or no row has a date of the form YYYY-MM-DD.
    """
    header = check_header(payments, payments.name)
    columns = ", ".join(f"'{column.replace(chr(39), chr(39) * 2)}': 'VARCHAR'" for column in header)
    try:
        days = duckdb.execute(
            f"""
            SELECT day, count(*)
            FROM (
                SELECT CASE WHEN regexp_full_match(trim(FECHA), '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')
                            THEN TRY_CAST(trim(FECHA) AS DATE) END AS day
                FROM read_csv(?, header = true, auto_detect = false, delim = ',', quote = '"', escape = '"',
                              columns = {{{columns}}}, ignore_errors = true)
            )
            WHERE day IS NOT NULL GROUP BY day ORDER BY day
            """,
            [str(payments)],
        ).fetchall()
    except duckdb.Error as error:
        # The first line goes into alerts, and DuckDB's message quotes the row.
        raise UserError(
            f"{payments} cannot be read as CSV. Deliver the complete file again.\n{str(error)[:MAX_QUOTED]}"
        ) from None
    if not days:
        line, text = _first_date(payments)
        raise UserError(
            f"{payments}: no FECHA is a date of the form YYYY-MM-DD. Deliver the file again, with such dates. For "
            f"example:\nline {line} has {text!r}"
        )
    return dict(days)


def choose_drop_date(payments: Path, days: dict[date, int], today: date) -> date:
    """Return the newest plausible day of the payments.

    A day after tomorrow is not plausible, nor is one that `churn.data.payment_days` takes for a typing error.

    Raises
    ------
    UserError
        When every day is in the future.
    """
    # Where the data comes from, it may be tomorrow already.
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


def _first_date(payments: Path) -> tuple[int, str]:
    """Return the number of the first line with a row, and its FECHA; "" if it has none that can be read."""
    with payments.open("rb") as file:
        lines = enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1)
        at = [cell.strip() for cell in _cells(next(lines)[1])].index("FECHA")
        for number, line in lines:
            if line.strip():
                cells = _cells(line)
                return number, cells[at][:MAX_QUOTED] if at < len(cells) else ""
    return 1, ""


def _cells(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode("utf-8-sig", errors="replace")]), [])
    except csv.Error:
        return []
