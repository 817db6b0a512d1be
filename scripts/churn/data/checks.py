"""Translate the contract into SQL: parse a CSV's fields, and check each row."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from churn.base.files import quote
from churn.data.contract import FILES, FIRST_DAY, TYPES, Column

BLANKS = "' \t\r'"


@dataclass(frozen=True)
class Check:
    """A check of one column: the reason that a failed row is rejected with, and SQL that is true for such a row.

    In the SQL, `<column>` is the parsed value and `text_<column>` the text in the file.
    """

    column: str
    reason: str
    condition: str


def checked_rows(rows: Path, name: str, header: list[str], checks: list[Check]) -> str:
    """Return a query of a CSV's values and of `failed_check`: the number (from 1) of the first failed check, or 0.

    Parameters
    ----------
    rows : Path
        Lines of the CSV, without its header.
    name : str
        The CSV's name in `contract.FILES`.
    header : list of str
        The columns of the CSV, in its order.
    checks : list of Check
        From `list_checks`.
    """
    columns = FILES[name]
    types = ", ".join(f"{quote(column)}: 'VARCHAR'" for column in header)
    texts = ", ".join(f'"{column}" AS "text_{column}"' for column in columns)
    values = ", ".join(f'{_value_of(f"text_{column}", spec)} AS "{column}"' for column, spec in columns.items())
    names = ", ".join(f'"{column}"' for column in columns)
    cases = " ".join(f"WHEN {check.condition} THEN {number}" for number, check in enumerate(checks, start=1))
    return f"""
        SELECT {names}, (CASE {cases} ELSE 0 END)::UTINYINT AS failed_check
        FROM (
            SELECT *, {values}
            FROM (
                SELECT {texts}
                FROM read_csv({quote(rows)}, header = false, auto_detect = false, delim = ',', quote = '"',
                              escape = '"', columns = {{{types}}}, store_rejects = true, rejects_limit = 0)))
        """


def list_checks(name: str, drop: date) -> list[Check]:
    """Return the checks that every row of a file must pass."""
    return [check for column, spec in FILES[name].items() for check in _column_checks(column, spec, drop)]


def _column_checks(column: str, spec: Column, drop: date) -> list[Check]:
    value = f'"{column}"'
    blank = f"coalesce(trim(\"text_{column}\", {BLANKS}), '') = ''"
    expected = f"one of {', '.join(spec.allowed)}" if spec.allowed else TYPES[spec.type].expected
    checks = [Check(column, "is empty", f"{value} IS NULL AND {blank}")] if spec.required else []
    if spec.type != "text" or spec.allowed:
        checks.append(Check(column, f"is not {expected}", f"{value} IS NULL AND NOT {blank}"))
    if spec.above_zero:
        checks.append(Check(column, "must be above 0", f"{value} <= 0"))
    if spec.minimum is not None:
        checks.append(Check(column, f"must be at least {spec.minimum}", f"{value} < {spec.minimum}"))
    if spec.maximum is not None:
        checks.append(Check(column, f"must be at most {spec.maximum}", f"{value} > {spec.maximum}"))
    if spec.type == "date":
        checks.append(Check(column, f"is before {FIRST_DAY}", f"{value} < DATE '{FIRST_DAY}'"))
        checks.append(Check(column, f"is after the drop of {drop}", f"{value} > DATE '{drop}'"))
    return checks


def _value_of(text: str, spec: Column) -> str:
    """Return SQL for a field's value; null if its text is blank or does not fit the column's type."""
    text, kind = f'"{text}"', TYPES[spec.type]
    trimmed = f"trim({text}, {BLANKS})"
    if spec.allowed:
        spellings = {value: value for value in spec.allowed} | spec.aliases
        whens = " ".join(f"WHEN '{spelling.lower()}' THEN '{value}'" for spelling, value in spellings.items())
        return f"CASE lower({trimmed}) {whens} END"
    if spec.type == "text":
        # Few texts begin or end with a blank, and looking is cheaper than trimming.
        has_blanks = " OR ".join([f"ascii({text}) <= 32", *(f"ends_with({text}, '{blank}')" for blank in " \t\r")])
        return f"CASE WHEN {has_blanks} THEN nullif({trimmed}, '') ELSE nullif({text}, '') END"
    value = f"TRY_CAST({text} AS {kind.sql})"
    if not kind.pattern:
        # SQL accepts 1_000 as a number, which no CSV means.
        return f"CASE WHEN NOT contains({text}, '_') THEN {value} END"
    # Most texts are already in SQL's own notation; the pattern, which is slower, is for the others.
    pattern = f"regexp_full_match({trimmed}, '{kind.pattern}')"
    return f"CASE WHEN {value}::VARCHAR = {text} THEN {value} WHEN {pattern} THEN TRY_CAST({trimmed} AS {kind.sql}) END"
