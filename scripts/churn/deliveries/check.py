"""Check a delivery on all its rows before it becomes a drop, as the stages would read it."""

import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from churn.base.command import UserError
from churn.base.files import quote
from churn.data.contract import FILES, USER, USER_FILES
from churn.data.mapping import Dialect, Mapping
from churn.data.payment_days import Days, find_silences
from churn.data.quarantine import FileRead, read_files
from churn.deliveries.date import check_drop_date, choose_drop_date
from churn.engines.duckdb import DuckDBEngine

# The drop of a delivery is not known before its payments are read: until then, no day is too late.
NO_DAY = date(9000, 1, 1)
# Fewer payers than this share of all in the user files: their ids are of another kind.
MIN_OVERLAP = 0.05
TAIL_BYTES = 1 << 16


@dataclass(frozen=True)
class Delivery:
    """A delivery that was read: its date, what was read of each file, and how many of the payers each file has.

    Attributes
    ----------
    drop : date
        The date it will have as a drop.
    files : dict of FileRead
        By the name in the contract.
    payers : int
        The number of users with a payment.
    known : dict of int
        How many of them each user file has.
    sums : dict of dict
        For each column of each file, what to compare with another drop: the mean of a number, or the values of a text.
    """

    drop: date
    files: dict[str, FileRead]
    payers: int
    known: dict[str, int]

    @property
    def days(self) -> Days:
        """How many good payments each day has, up to the drop."""
        return {day: rows for day, rows in self.files["PAYMENTS.csv"].days.items() if day <= self.drop}


def read_delivery(
    folder: Path, drop: date | None, today: date, params: dict[str, Any], mapping: Mapping, tables: Path
) -> Delivery:
    """Read all rows of a delivery as the stages will, and choose its date.

    Parameters
    ----------
    folder : Path
        Folder of the five CSVs, named as in the contract.
    drop : date or None
        The drop's date; None for the newest plausible day of the payments.
    today : date
        The current date; no payment can be later than tomorrow.
    params : dict
        All of params.yaml.
    mapping : Mapping
        How the files are written.
    tables : Path
        An empty folder, to write the table of each file in.

    Raises
    ------
    UserError
        When a file cannot be read, has too many bad rows, or the date is wrong.
    """
    engine, payments = DuckDBEngine(**params["duckdb"]), folder / "PAYMENTS.csv"
    of_payments = read_files(engine, {payments: tables / payments.name}, NO_DAY, params["clean_payments"], mapping)
    days = of_payments[payments.name].days
    newest = choose_drop_date(payments, days, today)
    drop = drop or newest
    check_drop_date(payments, drop, newest, days)
    check_late(payments, of_payments[payments.name], drop, params["clean_payments"]["max_reject_share"])
    users = {folder / name: tables / name for name in USER_FILES}
    files = of_payments | read_files(engine, users, drop, params["build_user_base"], mapping)
    payers, known = _count_payers(tables, drop)
    return Delivery(drop, files, payers, known)


def check_late(payments: Path, read: FileRead, drop: date, max_reject_share: float) -> None:
    """Raise `UserError` if too many payments are dated after the drop."""
    late, rows = sum(rows for day, rows in read.days.items() if day > drop), read.counts.rows_in
    if late + read.counts.rejected > max_reject_share * rows:
        raise UserError(
            f"{payments}: {late} of {rows} payments are dated after {drop}, and would be rejected (max_reject_share "
            f"allows {max_reject_share:.1%}). Correct their FECHA."
        )


def _count_payers(tables: Path, drop: date) -> tuple[int, dict[str, int]]:
    paid = f"SELECT DISTINCT \"{USER}\" FROM {_scan(tables / 'PAYMENTS.csv')} WHERE FECHA <= DATE '{drop}' AND SPENT > 0"
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE payers AS {paid}")
        ((payers,),) = connection.execute("SELECT count(*) FROM payers").fetchall()
        known = {}
        for name in USER_FILES:
            query = f'SELECT count(*) FROM payers SEMI JOIN {_scan(tables / name)} USING ("{USER}")'
            ((known[name],),) = connection.execute(query).fetchall()
    return payers, known


def _scan(table: Path) -> str:
    return f"read_parquet({quote(table / '*.parquet')})"


def find_doubts(delivery: Delivery, folder: Path, before: "Before | None", params: dict[str, Any], mapping: Mapping) -> list[str]:
    """Return why a delivery that can be read should not be used, each in a sentence that says what to do.

    Parameters
    ----------
    delivery : Delivery
        From `read_delivery`.
    folder : Path
        Its folder.
    before : Before or None
        The drop before it.
    params : dict
        All of params.yaml.
    mapping : Mapping
        How the files are written.
    """
    lookback, allowed = params["build_features"]["lookback_days"], params["ingest"]["min_rows_share"]
    return [
        *_doubt_ends(folder, mapping),
        *_doubt_history(delivery, lookback),
        *_doubt_silences(delivery, lookback),
        *(_doubt_rows(delivery, before, allowed) if before else []),
        *_doubt_ids(delivery),
    ]
