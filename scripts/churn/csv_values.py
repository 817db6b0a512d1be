"""The contract as SQL: how a CSV's fields become values, and what is wrong with a row."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from churn.contract import FILES, FIRST_DAY, TYPES, USER, Column

DUPLICATE = "is an exact copy of another row (duplicate_payments: drop)"


@dataclass(frozen=True)
class Fault:
    """What can be wrong with a row: the column, if one is at fault, the reason to tell, and SQL that is true then.

    The SQL speaks of values by the column's name and of texts by `text_<column>`.
    """

    column: str | None
    reason: str
    condition: str


def checked_rows(path: Path, header: list[str], faults: list[Fault], numbered: bool) -> str:
    """Return a query of every record of a CSV: its values, and `fault`, the number (from 1) of its first fault or 0.

    `numbered` adds `record`, which numbers the records from 1, and which DuckDB does on one thread.
    """
    columns = FILES[path.name]
    types = ", ".join(f"{_quoted(column)}: 'VARCHAR'" for column in header)
    texts = ", ".join(f'{_text_of(column)} AS "text_{column}"' for column in columns)
    values = ", ".join(f'{_value_of(f"text_{column}", spec)} AS "{column}"' for column, spec in columns.items())
    names = ", ".join(f'"{column}"' for column in columns)
    cases = " ".join(f"WHEN {fault.condition} THEN {number}" for number, fault in enumerate(faults, start=1))
    record, number = ("record, ", "row_number() OVER () AS record, ") if numbered else ("", "")
    return f"""
        SELECT {record}{names}, CASE {cases} ELSE 0 END AS fault
        FROM (
            SELECT *, {values}
            FROM (
                SELECT {number}{texts}
                FROM read_csv({_quoted(path)}, header = true, auto_detect = false, delim = ',', quote = '"',
                              escape = '"', columns = {{{types}}}, store_rejects = true, rejects_limit = 0)))
        """


def faults_of(name: str, drop: date, drop_duplicates: bool) -> list[Fault]:
    """Return the faults that a row of a file can have."""
    columns = FILES[name]
    faults = [fault for column, spec in columns.items() for fault in _faults_of_column(column, spec, drop)]
    if name != "PAYMENTS.csv":
        copies = f"count(*) OVER (PARTITION BY {USER})"
        faults.append(Fault(USER, "the user stands in the file more than once", f"{copies} > 1"))
    elif drop_duplicates:
        values = ", ".join(f'"{column}"' for column in columns)
        # The rows with another fault have got theirs before.
        copies = f"row_number() OVER (PARTITION BY {values} ORDER BY record)"
        faults.append(Fault(None, DUPLICATE, f"{copies} > 1"))
    return faults


def _faults_of_column(column: str, spec: Column, drop: date) -> list[Fault]:
    text, value = f'"text_{column}"', f'"{column}"'
    should = f"one of {', '.join(spec.allowed)}" if spec.allowed else TYPES[spec.type].told
    faults = [Fault(column, "is empty", f"{text} IS NULL")] if spec.required else []
    if spec.type != "text" or spec.allowed:
        faults.append(Fault(column, f"is not {should}", f"{text} IS NOT NULL AND {value} IS NULL"))
    if spec.above_zero:
        faults.append(Fault(column, "must be above 0", f"{value} <= 0"))
    if spec.minimum is not None:
        faults.append(Fault(column, f"must be at least {spec.minimum}", f"{value} < {spec.minimum}"))
    if spec.maximum is not None:
        faults.append(Fault(column, f"must be at most {spec.maximum}", f"{value} > {spec.maximum}"))
    if spec.type == "date":
        faults.append(Fault(column, f"is before {FIRST_DAY}", f"{value} < DATE '{FIRST_DAY}'"))
        faults.append(Fault(column, f"is after the drop of {drop}", f"{value} > DATE '{drop}'"))
    return faults


def _text_of(column: str) -> str:
    """SQL of a field's text without blanks around it; null when nothing is left."""
    # Spaces alone are cut much faster than spaces, tabs and carriage returns, which few fields have.
    rare = f"contains(\"{column}\", '\t') OR contains(\"{column}\", '\r')"
    return f"nullif(CASE WHEN {rare} THEN trim(\"{column}\", ' \t\r') ELSE trim(\"{column}\") END, '')"


def _value_of(text: str, spec: Column) -> str:
    """SQL of a field's value, null when its text is none of the column's type."""
    if spec.allowed:
        spellings = {value: value for value in spec.allowed} | spec.aliases
        whens = " ".join(f"WHEN '{spelling.lower()}' THEN '{value}'" for spelling, value in spellings.items())
        return f'CASE lower("{text}") {whens} END'
    if spec.type == "text":
        return f'"{text}"'
    kind = TYPES[spec.type]
    value = f'TRY_CAST("{text}" AS {kind.sql})'
    # Most texts stand as their value would be written: the pattern, which costs more, is for the others.
    pattern = f"regexp_full_match(\"{text}\", '{kind.pattern}', 'i')"
    return f'CASE WHEN {value}::VARCHAR = "{text}" THEN {value} WHEN {pattern} THEN {value} END'


def _quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"
