"""The contract of a delivery's five CSV files: the single declaration of their columns."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

USER = "CUS_CUST_ID_BUY"
PAYMENT_DAY = "FECHA"


@dataclass(frozen=True)
class Column:
    """One column of a CSV file.

    Attributes
    ----------
    type : str
        One of id, whole, money, fraction, date, text.
    unit : str
        Unit of a number; "" for other types.
    required : bool
        An empty value rejects the row.
    minimum, maximum : int or None
        Inclusive bounds; `above_zero` excludes 0 itself.
    allowed : tuple of str
        The values that a text may have (after normalising blanks and case); if empty, any.
    aliases : dict
        Other spellings of allowed values.
    """

    type: str
    meaning: str
    unit: str = ""
    required: bool = False
    minimum: int | None = None
    maximum: int | None = None
    above_zero: bool = False
    allowed: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Type:
    """A type of column.

    Attributes
    ----------
    sql : str
        Its name in SQL.
    expected : str
        What a value should be, in the words of a message.
    pattern : str
        Texts to accept in addition to SQL's own notation of the value. If empty, everything that SQL can parse.
    """

    sql: str
    expected: str
    pattern: str = ""


TYPES = {
    "id": Type("BIGINT", "a whole number", r"[0-9]{1,18}(\.0+)?"),
    "whole": Type("INTEGER", "a whole number", r"-?[0-9]{1,9}(\.0+)?"),
    "money": Type("DECIMAL(18, 2)", "an amount like 1234.56"),
    "fraction": Type("DECIMAL(9, 6)", "a fraction like 0.05"),
    "date": Type("DATE", "a date of the form YYYY-MM-DD", r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "text": Type("VARCHAR", "text"),
}
MAX_LINE_BYTES = 2_000_000
FIRST_DAY = date(1970, 1, 1)

_BUYER = Column("id", "the user (buyer)", required=True, minimum=0)

FILES: dict[str, dict[str, Column]] = {
    "PAYMENTS.csv": {
        PAYMENT_DAY: Column("date", "day of a successful payment", required=True),
        "CUS_CUST_ID_SEL": Column("text", "the seller", required=True),
        USER: _BUYER,
        "SPENT": Column("money", "amount paid", "currency of the account", required=True, above_zero=True),
        "TPV_SEGMENT_DETAIL": Column("text", "kind of payment: Instore, Transport, Utilities, TopUps, Transfers, ..."),
        "DESCUENTO": Column("fraction", "share of the amount that was discounted", "0 to 1", minimum=0, maximum=1),
    },
    "ACTIVE_USER.csv": {
        USER: _BUYER,
        "MAU_MP_1": Column("whole", "accesses of the wallet app, last month", "accesses", minimum=0),
        "MAU_ML_1": Column("whole", "accesses of the marketplace app, last month", "accesses", minimum=0),
        "MAU_ML_2": Column("whole", "accesses of the marketplace app, the month before", "accesses", minimum=0),
        "last_login_mp_date_1": Column("date", "day of the last login to the wallet app"),
    },
    "DEMOGRAFICOS.csv": {
        USER: _BUYER,
        "AGE": Column("whole", "age", "years", minimum=0, maximum=120),
        "GENDER": Column("text", "gender", allowed=("F", "M")),
        "CARD_TYPE": Column("text", "kind of card: BLACK, GOLD, PLATINUM, ..."),
        "CITY": Column("text", "city"),
    },
    "DINERO_CUENTA.csv": {
        USER: _BUYER,
        "PLATA_CUENTA_1": Column("money", "highest balance, last month", "currency of the account"),
        "PLATA_CUENTA_2": Column("money", "highest balance, the month before", "currency of the account"),
        "INVERSION": Column(
            "text",
            "state of the investment account",
            allowed=("Investing", "Eligible", "Warmup", "Pending"),
            aliases={"Elegible": "Eligible"},
        ),
    },
    "MARKETPLACE_DATA.csv": {
        USER: _BUYER,
        "SPENT_ML": Column("money", "spent in the marketplace over six months", "currency of the account", minimum=0),
        "RECENCY_ML": Column("date", "day of the last purchase in the marketplace"),
        "FREQUENCY_ML": Column("whole", "days with purchases in the marketplace over six months", "days", minimum=0),
    },
}


USER_FILES = [name for name in FILES if name != "PAYMENTS.csv"]


def presence_column(name: str) -> str:
    """Return the column of the user base that says whether a file contains the user."""
    return f"in_{Path(name).stem}"
