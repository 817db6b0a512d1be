"""Check a delivery on all its rows before it becomes a drop, as the stages would read it."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from churn.base.command import UserError
from churn.base.files import quote
from churn.data.contract import USER, USER_FILES
from churn.data.duplicates import COPIES
from churn.data.payment_days import Days
from churn.data.quarantine import FileRead, read_files
from churn.deliveries.date import check_drop_date, choose_drop_date
from churn.deliveries.rules import Rules
from churn.engines.duckdb import DuckDBEngine


@dataclass(frozen=True)
class Delivery:
    """A delivery whose rows were all read.

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
    """

    drop: date
    files: dict[str, FileRead]
    payers: int
    known: dict[str, int]

    @property
    def days(self) -> Days:
        """How many good payments each day has, up to the drop."""
        return {day: rows for day, rows in self.files["PAYMENTS.csv"].days.items() if day <= self.drop}


def read_delivery(folder: Path, drop: date | None, today: date, rules: Rules, tables: Path) -> Delivery:
    """Read all rows of a delivery as the stages will, and choose its date.

    Parameters
    ----------
    folder : Path
        Folder of the five CSVs, named as in the contract.
    drop : date or None
        The drop's date; None for the newest plausible day of the payments.
    today : date
        The current date; no payment can be later than tomorrow.
    rules : Rules
        How to read and judge it.
    tables : Path
        A folder to write the table of each file in.

    Raises
    ------
    UserError
        When a file cannot be read, has too many bad rows, or the date is wrong.
    """
    params, mapping = rules.params, rules.mapping
    engine, payments = DuckDBEngine(**params["duckdb"]), folder / "PAYMENTS.csv"
    of_payments = read_files(engine, {payments: tables / payments.name}, None, params["clean_payments"], mapping)
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
    bad = sum(number for problem, number in read.counts.reasons.items() if problem not in COPIES)
    if late and late + bad > max_reject_share * rows:
        raise UserError(
            f"{payments}: {late} of {rows} payments are dated after {drop}, and would be rejected (max_reject_share "
            f"allows {max_reject_share:.1%}). Correct their FECHA."
        )


def _count_payers(tables: Path, drop: date) -> tuple[int, dict[str, int]]:
    paid = f"SELECT DISTINCT \"{USER}\" FROM {scan(tables / 'PAYMENTS.csv')} WHERE FECHA <= DATE '{drop}' AND SPENT > 0"
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE payers AS {paid}")
        ((payers,),) = connection.execute("SELECT count(*) FROM payers").fetchall()
        known = {}
        for name in USER_FILES:
            query = f'SELECT count(*) FROM payers SEMI JOIN {scan(tables / name)} USING ("{USER}")'
            ((known[name],),) = connection.execute(query).fetchall()
    return payers, known


def scan(table: Path) -> str:
    """Return SQL for the rows of a table, a folder of Parquet files."""
    return f"read_parquet({quote(table / '*.parquet')})"
