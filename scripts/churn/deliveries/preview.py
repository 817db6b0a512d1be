"""Describe a delivery that was read: how it would be read, what would be rejected, and how it differs from the last."""

from collections.abc import Iterator
from pathlib import Path

import duckdb

from churn.base.printable import printable
from churn.data.contract import FILES, USER, USER_FILES
from churn.data.payment_days import find_silences
from churn.data.quarantine import FileRead
from churn.deliveries.before import Before
from churn.deliveries.check import Delivery, scan

FIRST_ROWS, MAX_PROBLEMS, MAX_NAMED, MAX_WIDTH = 5, 10, 10, 40
SUMS = {"PAYMENTS.csv": "SPENT", "DINERO_CUENTA.csv": "PLATA_CUENTA_1", "MARKETPLACE_DATA.csv": "SPENT_ML"}
CATEGORIES = {"PAYMENTS.csv": ["TPV_SEGMENT_DETAIL"], "DEMOGRAFICOS.csv": ["CARD_TYPE", "CITY"]}


def preview(delivery: Delivery, tables: Path, before: Before | None, clean: Path) -> str:
    """Return the description of a delivery, as text.

    Parameters
    ----------
    delivery : Delivery
        From `read_delivery`.
    tables : Path
        The folder with its tables.
    before : Before or None
        The drop before it.
    clean : Path
        Folder of the cleaned drops.
    """
    lines: list[str] = []
    for name in FILES:
        lines += ["", *_describe_file(name, delivery.files[name], tables / name)]
    lines += ["", *_describe_days(delivery), *_describe_users(delivery)]
    if before:
        lines += ["", f"Compared with drop {before.drop}:", *_compare(delivery, tables, before, clean)]
    return "\n".join(lines)


def _describe_file(name: str, read: FileRead, table: Path) -> Iterator[str]:
    counts = read.counts
    skipped = f"; {counts.skipped:,} lines are no rows" if counts.skipped else ""
    yield f"{name}: {counts.rows_in:,} rows, {counts.kept:,} kept, {counts.rejected:,} rejected{skipped}"
    texts = duckdb.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {scan(table)} LIMIT {FIRST_ROWS}").fetchall()
    yield from _align([list(FILES[name]), *([text or "" for text in row] for row in texts)])
    effects = {
        "rejected": counts.reasons,
        "null, because": counts.nulled,
        "null": counts.no_value,
        "set to the drop's date": counts.clipped,
    }
    for effect, problems in effects.items():
        for problem, number in list(problems.items())[:MAX_PROBLEMS]:
            yield f"  {effect}: {number:,} times {problem}{_first_line(read, problem)}"


def _align(rows: list[list[str]]) -> Iterator[str]:
    widths = [min(MAX_WIDTH, max(map(len, column))) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            printable(" ".join(cell.split()))[:width].ljust(width) for cell, width in zip(row, widths, strict=True)
        )
        yield "  " + "  ".join(cells).rstrip()


def _first_line(read: FileRead, problem: str) -> str:
    found = read.found.to_pandas()
    of_problem = found[((found["column"].fillna("") + " " + found["reason"]).str.strip()) == problem]
    return f" (first in line {of_problem['line'].iloc[0]})" if len(of_problem) else ""


def _describe_days(delivery: Delivery) -> Iterator[str]:
    days = delivery.days
    length = (max(days) - min(days)).days + 1
    yield f"Date of the drop: {delivery.drop}"
    yield f"Payments: {length} days, from {min(days)} to {max(days)}; {sum(days.values()) / length:,.1f} a day"
    if late := {day: rows for day, rows in delivery.files["PAYMENTS.csv"].days.items() if day > delivery.drop}:
        yield f"  {sum(late.values()):,} more are dated later, up to {max(late)}, and will be rejected"
    for first, last, expected in find_silences(days):
        yield f"  none from {first} to {last}, where about {expected:,} are usual"


def _describe_users(delivery: Delivery) -> Iterator[str]:
    shares = ", ".join(f"{name} {known / delivery.payers:.0%}" for name, known in delivery.known.items())
    yield f"Users with payments: {delivery.payers:,}; of them are in {shares}"


def _compare(delivery: Delivery, tables: Path, before: Before, clean: Path) -> Iterator[str]:
    for name, rows in before.rows.items():
        yield f"  {name}: {rows:,} rows then, {delivery.files[name].counts.rows_in:,} now"
    folder = clean / str(before.drop)
    old = dict.fromkeys(USER_FILES, folder / "user_base.parquet")
    old["PAYMENTS.csv"] = folder / "payments_clean.parquet"
    if not all(table.is_dir() for table in old.values()):
        yield f"  users, amounts and categories cannot be compared: {folder} has not been computed here"
        return
    for name in FILES:
        yield f"  {name}: {_count_users(old[name]):,} users then, {_count_users(tables / name):,} now"
    for name, column in SUMS.items():
        then, now = (_one(f'SELECT sum("{column}") FROM {scan(table)}') or 0 for table in (old[name], tables / name))
        yield f"  {column}: {then:,} in total then, {now:,} now"
    for name, columns in CATEGORIES.items():
        for column in columns:
            if new := _new_values(tables / name, old[name], column):
                named = ", ".join(printable(value[:MAX_WIDTH]) for value in new[:MAX_NAMED])
                more = f" and {len(new) - MAX_NAMED} more" if len(new) > MAX_NAMED else ""
                yield f"  {column} has new values: {named}{more}"


def _count_users(table: Path) -> int:
    return int(_one(f'SELECT count(DISTINCT "{USER}") FROM {scan(table)}'))


def _new_values(now: Path, then: Path, column: str) -> list[str]:
    values = f'SELECT DISTINCT "{column}" AS value FROM {{}} WHERE value IS NOT NULL'
    query = f"{values.format(scan(now))} EXCEPT {values.format(scan(then))} ORDER BY 1"
    return [value for (value,) in duckdb.execute(query).fetchall()]


def _one(query: str):  # type: ignore[no-untyped-def]
    ((value,),) = duckdb.execute(query).fetchall()
    return value
