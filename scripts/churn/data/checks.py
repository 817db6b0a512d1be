"""Check the rows of a CSV by the contract, in SQL: reject a row, or replace one bad value."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from churn.base.files import quote
from churn.data.contract import FILES, FIRST_DAY, TYPES, USER, Column
from churn.data.fields import is_missing, is_null_literal, text_of, trimmed, value_of
from churn.data.mapping import Dialect
from churn.data.thousands import thousands_like

# What a failed check does: the line is no row; the row is rejected; the value becomes null, because it is bad or means
# that there is none; the value becomes the drop's date.
SKIPPED, REJECTED, NULLED, NO_VALUE, CLIPPED = "skipped", "rejected", "nulled", "no_value", "clipped"
OF_ROWS = (SKIPPED, REJECTED)
# DuckDB keeps the text of malformed rows in memory; with more of them the split is read in another way.
MOST_MALFORMED = 20_000
# A delivery made on the next days may have logins of these days.
LATE = timedelta(days=3)
NO_DATES = ("0001-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "9999-12-31")


@dataclass(frozen=True)
class Check:
    """A check of a column, or of a whole row (column None).

    Attributes
    ----------
    condition : str
        SQL that is true for a row that fails: `<column>` is the parsed value, `text_<column>` the text in the file.
    outcome : str
        What happens then: SKIPPED, REJECTED, NULLED, NO_VALUE or CLIPPED.
    """

    column: str | None
    reason: str
    condition: str
    outcome: str = REJECTED

    @property
    def problem(self) -> str:
        """Column and reason."""
        return f"{self.column} {self.reason}" if self.column else self.reason


def list_checks(name: str, drop: date | None, dialect: Dialect) -> list[Check]:
    """Return the checks of every row of a file, those that skip a line first. Without a drop, no day is too late."""
    return [
        *_skip_checks(name, dialect),
        *(check for column, spec in FILES[name].items() for check in _column_checks(column, spec, drop, dialect)),
    ]


def _skip_checks(name: str, dialect: Dialect) -> Iterator[Check]:
    columns = list(FILES[name])
    missing = " AND ".join(f"coalesce({trimmed(_text(column))}, '') = ''" for column in columns)
    yield Check(None, "has only empty fields", _if_null(USER, missing), SKIPPED)
    names = [quote(dialect.columns.get(column, column).lower()) for column in columns]
    repeats = [f"lower({trimmed(_text(column))}) = {name}" for column, name in zip(columns, names, strict=True)]
    is_header = _if_null(USER, f"{repeats[0]} AND {repeats[1]}")
    if dialect.user_id == "text":
        is_header = f"CASE WHEN lower({_text(columns[0])}) = {names[0]} THEN {repeats[1]} ELSE false END"
    yield Check(None, "repeats the header", is_header, SKIPPED if dialect.repeated_headers else REJECTED)
    for column, texts in dialect.skip_rows.items():
        listed = ", ".join(quote(text.lower()) for text in texts)
        if column in columns and texts:
            yield Check(column, "marks a line to skip", f"lower({trimmed(_text(column))}) IN ({listed})", SKIPPED)


def _if_null(column: str, condition: str) -> str:
    """Return SQL that is true if the column's value is null and a condition holds."""
    # AND would evaluate the condition for all rows.
    return f'CASE WHEN "{column}" IS NULL THEN {condition} ELSE false END'


def _text(column: str) -> str:
    return f'"text_{column}"'


def _column_checks(column: str, spec: Column, drop: date | None, dialect: Dialect) -> Iterator[Check]:
    value, text = f'"{column}"', _text(column)
    missing, bad = is_missing(text, dialect), REJECTED if spec.required else NULLED
    if spec.type == "date" and not spec.required:
        no_date = f"regexp_full_match({trimmed(text)}, '0[0 :/.T-]*')"
        # Another time zone may have made it the day before or after.
        shifts = range(-1, 2) if dialect.zones else range(1)
        days = ", ".join(f"DATE '{day}'{shift:+d}" for day in NO_DATES for shift in shifts)
        yield Check(
            column, "means that the date is unknown", f"{value} IN ({days}) OR {value} IS NULL AND {no_date}", NO_VALUE
        )
    if not spec.required:
        is_literal = _if_null(column, is_null_literal(trimmed(text), dialect))
        yield Check(column, "is a text such as NULL", is_literal, NO_VALUE)
    if spec.required:
        yield Check(column, "is empty", _if_null(column, missing))
    if spec.allowed or (spec.type != "text" and not (spec.type == "id" and dialect.user_id == "text")):
        yield Check(column, f"is not {_expected(spec, dialect)}", _if_null(column, f"NOT {missing}"), bad)
    if spec.above_zero:
        yield Check(column, "must be above 0", _not_above_zero(column, dialect), bad)
    if spec.minimum is not None and not (spec.type == "id" and dialect.user_id == "text"):
        yield Check(column, f"must be at least {spec.minimum}", f"{value} < {spec.minimum}", bad)
    if spec.maximum is not None:
        yield Check(column, f"must be at most {spec.maximum}", f"{value} > {spec.maximum}", bad)
    if spec.type == "date":
        yield Check(column, f"is before {FIRST_DAY}", f"{value} < DATE '{FIRST_DAY}'", bad)
        if drop and not spec.required:
            late = f"{value} > DATE '{drop}' AND {value} <= DATE '{drop + LATE}'"
            yield Check(column, f"is up to {LATE.days} days after the drop of {drop}", late, CLIPPED)
        if drop:
            yield Check(column, f"is after the drop of {drop}", f"{value} > DATE '{drop}'", bad)


def _not_above_zero(column: str, dialect: Dialect) -> str:
    return f'"{column}" = 0' if column == "SPENT" and dialect.refunds == "subtract" else f'"{column}" <= 0'


def _expected(spec: Column, dialect: Dialect) -> str:
    if spec.allowed:
        return f"one of {', '.join(spec.allowed)}"
    if spec.type == "date" and dialect.dates:
        return f"a date of the form {' or '.join(dialect.dates)}"
    if spec.type in ("money", "fraction") and dialect.decimal == ",":
        return TYPES[spec.type].expected.replace(".", ",")
    return TYPES[spec.type].expected


def checked_rows(
    rows: Path,
    name: str,
    header: list[str],
    checks: list[Check],
    drop: date | None,
    dialect: Dialect,
    ambiguous: dict[str, bool],
    joint: str,
    has_unseen: bool,
) -> str:
    """Return a query of a CSV's values and of what was found in each row.

    The columns are those of the contract; `failed_check`, the number (from 1) of the first check that skips or rejects
    the row, or 0; `changed_<column>`, the number of the check that changed an optional value, or 0; and
    `thousands_<column>` for the ambiguous columns, see `thousands_like`.

    Parameters
    ----------
    rows : Path
        The CSV, without its header, in UTF-8 and with one record per line.
    name : str
        The CSV's name in `contract.FILES`.
    header : list of str
        The columns of the CSV, in its order.
    checks : list of Check
        From `list_checks`.
    drop : date or None
        The drop.
    dialect : Dialect
        How the CSV is written.
    ambiguous : dict of bool
        Columns that may be written with thousands, and whether the first rows leave that open.
    joint : str
        The character to replace by a line break in texts; "" if there is none.
    has_unseen : bool
        See `fields.value_of`.
    """
    columns = FILES[name]
    types = ", ".join(f"{quote(column)}: 'VARCHAR'" for column in header)
    texts = ", ".join(
        f"{_with_line_breaks(text_of(column, spec, dialect), joint)} AS {_text(column)}"
        for column, spec in columns.items()
    )
    values = ", ".join(
        f'{value_of(column, spec, dialect, has_unseen, bool(joint))} AS "{column}"' for column, spec in columns.items()
    )
    delimiter, mark = quote(dialect.delimiter), quote(dialect.quote)
    changing = changed_columns(checks)
    marks = {"failed_check": _first_failed(checks, None)}
    marks |= {f"changed_{column}": _first_failed(checks, column) for column in changing}
    marks |= {
        f"thousands_{column}": f"({thousands_like(column, dialect, is_open)})::UTINYINT"
        for column, is_open in ambiguous.items()
    }
    found = ", ".join(f'{condition} AS "{mark}"' for mark, condition in marks.items())
    kept = ", ".join(_changed(column, checks, drop) if column in changing else f'"{column}"' for column in columns)
    return f"""
        SELECT {kept}, {", ".join(f'"{mark}"' for mark in marks)}
        FROM (
            SELECT {", ".join(f'"{column}"' for column in columns)}, {found}
            FROM (
                SELECT *, {values}
                FROM (
                    SELECT {texts}
                    FROM read_csv({quote(rows)}, header = false, auto_detect = false, parallel = false,
                                  columns = {{{types}}}, delim = {delimiter}, quote = {mark}, escape = {mark},
                                  store_rejects = true, rejects_limit = {MOST_MALFORMED}))))
        """


def changed_columns(checks: list[Check]) -> list[str]:
    """Return the columns of which a bad value is changed, and not the row rejected."""
    return list(dict.fromkeys(check.column for check in checks if check.column and check.outcome not in OF_ROWS))


def _first_failed(checks: list[Check], changed: str | None) -> str:
    """Return SQL for the number of the first failed check of rows, or of those that change a column; 0 if none has."""
    cases = " ".join(
        f"WHEN {check.condition} THEN {number}"
        for number, check in enumerate(checks, start=1)
        if (check.column == changed and check.outcome not in OF_ROWS if changed else check.outcome in OF_ROWS)
    )
    return f"(CASE {cases} ELSE 0 END)::UTINYINT"


def _changed(column: str, checks: list[Check], drop: date | None) -> str:
    """Return SQL for an optional value: null, or the drop's date, if a check has failed."""
    clips = [n for n, check in enumerate(checks, start=1) if (check.column, check.outcome) == (column, CLIPPED)]
    clipped = "".join(f" WHEN {number} THEN DATE '{drop}'" for number in clips)
    return f'CASE "changed_{column}" WHEN 0 THEN "{column}"{clipped} END AS "{column}"'


def _with_line_breaks(text: str, joint: str) -> str:
    return f"replace({text}, chr({ord(joint)}), chr(10))" if joint else text
