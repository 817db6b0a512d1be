"""What a delivery's five CSV files must hold: the one declaration of their columns."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from churn.command import UserError

USER = "CUS_CUST_ID_BUY"
_ID = r"[0-9]{1,18}(\.0+)?"
_WHOLE = r"-?[0-9]{1,9}(\.0+)?"


@dataclass(frozen=True)
class Column:
    """One column of a CSV file.

    Attributes
    ----------
    type : str
        One of id, whole, money, fraction, date, text.
    required : bool
        An empty value rejects the row.
    minimum, maximum : int or None
        Bounds, both allowed; `above_zero` excludes 0 itself.
    allowed : tuple of str
        The values that a text may have (after blanks and case are normalised); empty: any.
    aliases : dict
        Other spellings of allowed values.
    """

    type: str
    meaning: str
    required: bool = False
    minimum: int | None = None
    maximum: int | None = None
    above_zero: bool = False
    allowed: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)


# type: (pattern of its text, how to read it, what to tell the user that it should be)
TYPES = {
    "id": (_ID, "TRY_CAST({text} AS BIGINT)", "a whole number"),
    "whole": (_WHOLE, "TRY_CAST({text} AS INTEGER)", "a whole number"),
    "money": (
        r"[+-]?[0-9]*\.?[0-9]+(e[+-]?[0-9]{1,2})?",
        "TRY_CAST({text} AS DECIMAL(18, 2))",
        "an amount like 1234.56",
    ),
    "fraction": (
        r"[+-]?[0-9]*\.?[0-9]+(e[+-]?[0-9]{1,2})?",
        "TRY_CAST({text} AS DECIMAL(9, 6))",
        "a fraction like 0.05",
    ),
    "date": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "TRY_STRPTIME({text}, '%Y-%m-%d')::DATE", "a date of the form YYYY-MM-DD"),
    "text": (r"(?s).*", "{text}", "text"),
}

_BUYER = Column("id", "the user (buyer)", required=True)

FILES: dict[str, dict[str, Column]] = {
    "PAYMENTS.csv": {
        "FECHA": Column("date", "day of a successful payment", required=True),
        "CUS_CUST_ID_SEL": Column("text", "the seller", required=True),
        USER: _BUYER,
        "SPENT": Column("money", "amount paid", required=True, above_zero=True),
        "TPV_SEGMENT_DETAIL": Column("text", "kind of payment: Instore, Transport, Utilities, TopUps, Transfers, ..."),
        "DESCUENTO": Column("fraction", "share of the amount that was discounted", minimum=0, maximum=1),
    },
    "ACTIVE_USER.csv": {
        USER: _BUYER,
        "MAU_MP_1": Column("whole", "accesses of the wallet app, last month", minimum=0),
        "MAU_ML_1": Column("whole", "accesses of the marketplace app, last month", minimum=0),
        "MAU_ML_2": Column("whole", "accesses of the marketplace app, the month before", minimum=0),
        "last_login_mp_date_1": Column("date", "day of the last login to the wallet app"),
    },
    "DEMOGRAFICOS.csv": {
        USER: _BUYER,
        "AGE": Column("whole", "age in years", minimum=0, maximum=120),
        "GENDER": Column("text", "gender", allowed=("F", "M")),
        "CARD_TYPE": Column("text", "kind of card: BLACK, GOLD, PLATINUM, ..."),
        "CITY": Column("text", "city"),
    },
    "DINERO_CUENTA.csv": {
        USER: _BUYER,
        "PLATA_CUENTA_1": Column("money", "highest balance, last month"),
        "PLATA_CUENTA_2": Column("money", "highest balance, the month before"),
        "INVERSION": Column(
            "text",
            "state of the investment account",
            allowed=("Investing", "Eligible", "Warmup", "Pending"),
            aliases={"Elegible": "Eligible"},
        ),
    },
    "MARKETPLACE_DATA.csv": {
        USER: _BUYER,
        "SPENT_ML": Column("money", "spent in the marketplace over six months", minimum=0),
        "RECENCY_ML": Column("date", "day of the last purchase in the marketplace"),
        "FREQUENCY_ML": Column("whole", "days with purchases in the marketplace over six months", minimum=0),
    },
}


def check_header(path: Path, name: str) -> list[str]:
    """Return the header of a CSV file, in its order, once it is sure that `FILES[name]` can be read from it.

    Raises
    ------
    UserError
        When the file is missing, is a folder, is empty, is not UTF-8, or lacks or repeats a column.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "is missing"
        raise UserError(f"{path} {found}. A drop needs the five files {', '.join(FILES)}.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}, line 1: cannot be read as CSV in UTF-8 ({error}). Save the file as UTF-8.") from None
    columns = list(FILES[name])
    if not any(cell.strip() for cell in header):
        raise UserError(f"{path} is empty. Its first line must be {','.join(columns)}")
    header = [cell.strip() for cell in header]
    if missing := [column for column in columns if column not in header]:
        raise UserError(
            f"{path}, line 1: column {', '.join(missing)} is missing; found {','.join(header)}. "
            f"Expected (in any order): {','.join(columns)}"
        )
    if repeated := sorted({cell for cell in header if header.count(cell) > 1}):
        raise UserError(f"{path}, line 1: column {', '.join(repeated)} stands there more than once.")
    return header
