"""The contract as SQL: how a CSV's fields become values, and what is wrong with a row."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from churn.base.files import quote
from churn.data.contract import FILES, FIRST_DAY, TYPES, Column

BLANKS = "' \t\r'"


@dataclass(frozen=True)
class Fault:
    """What can be wrong with a row: the column at fault, the reason to tell, and SQL that is true then.

    The SQL speaks of values by the column's name and of texts, as they stand in the file, by `text_<column>`.
    """

    column: str
    reason: str
    condition: str


def checked_rows(rows: Path, name: str, header: list[str], faults: list[Fault]) -> str:
    """Return a query of the rows of a CSV: their values, and `fault`, the number (from 1) of a row's first fault or 0.

    Parameters
    ----------
    rows : Path
        Lines of the CSV, without its header.
    name : str
        The CSV's name in `contract.FILES`.
    header : list of str
        Its columns, in its order.
    faults : list of Fault
        What `faults_of` returned.
    """
    columns = FILES[name]
    types = ", ".join(f"{quote(column)}: 'VARCHAR'" for column in header)
    texts = ", ".join(f'"{column}" AS "text_{column}"' for column in columns)
    values = ", ".join(f'{_value_of(f"text_{column}", spec)} AS "{column}"' for column, spec in columns.items())
    names = ", ".join(f'"{column}"' for column in columns)
    cases = " ".join(f"WHEN {fault.condition} THEN {number}" for number, fault in enumerate(faults, start=1))
    return f"""
        SELECT {names}, (CASE {cases} ELSE 0 END)::UTINYINT AS fault
        FROM (
            SELECT *, {values}
            FROM (
                SELECT {texts}
                FROM read_csv({quote(rows)}, header = false, auto_detect = false, delim = ',', quote = '"',
                              escape = '"', columns = {{{types}}}, store_rejects = true, rejects_limit = 0)))
        """


def faults_of(name: str, drop: date) -> list[Fault]:
    """Return the faults that a row of a file can have."""
    return [fault for column, spec in FILES[name].items() for fault in _faults_of_column(column, spec, drop)]


def _faults_of_column(column: str, spec: Column, drop: date) -> list[Fault]:
    value = f'"{column}"'
    blank = f"coalesce(trim(\"text_{column}\", {BLANKS}), '') = ''"
    should = f"one of {', '.join(spec.allowed)}" if spec.allowed else TYPES[spec.type].told
    faults = [Fault(column, "is empty", f"{value} IS NULL AND {blank}")] if spec.required else []
    if spec.type != "text" or spec.allowed:
        faults.append(Fault(column, f"is not {should}", f"{value} IS NULL AND NOT {blank}"))
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


def _value_of(text: str, spec: Column) -> str:
    """SQL of a field's value, null when its text is blank or none of the column's type."""
    text, kind = f'"{text}"', TYPES[spec.type]
    trimmed = f"trim({text}, {BLANKS})"
    if spec.allowed:
        spellings = {value: value for value in spec.allowed} | spec.aliases
        whens = " ".join(f"WHEN '{spelling.lower()}' THEN '{value}'" for spelling, value in spellings.items())
        return f"CASE lower({trimmed}) {whens} END"
    if spec.type == "text":
        # Few texts begin or end with a blank, and cutting costs more than looking.
        has_blanks = " OR ".join([f"ascii({text}) <= 32", *(f"ends_with({text}, '{blank}')" for blank in " \t\r")])
        return f"CASE WHEN {has_blanks} THEN nullif({trimmed}, '') ELSE nullif({text}, '') END"
    value = f"TRY_CAST({text} AS {kind.sql})"
    if not kind.pattern:
        # The one thing that SQL reads in a number and no CSV means.
        return f"CASE WHEN NOT contains({text}, '_') THEN {value} END"
    # Most texts stand as their value would be written: the pattern, which costs more, is for the others.
    pattern = f"regexp_full_match({trimmed}, '{kind.pattern}')"
    return f"CASE WHEN {value}::VARCHAR = {text} THEN {value} WHEN {pattern} THEN TRY_CAST({trimmed} AS {kind.sql}) END"
