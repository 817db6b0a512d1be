"""Translate a dialect into SQL: the value of a CSV's field."""

import re

from churn.base.files import quote
from churn.data.contract import TYPES, Column, Type
from churn.data.mapping import EXCEL, Dialect

# What surrounds a value without being part of it; some cannot be seen: non-breaking blanks, a byte order mark (of files
# that were joined) and a blank without width.
UNSEEN = "\u00a0\u2007\u202f\ufeff\u200b\u200e\u200f"
BLANKS = f" \t\r\n{UNSEEN}"
EXCEL_DAY_0 = "DATE '1899-12-30'"


def text_of(column: str, spec: Column, dialect: Dialect) -> str:
    """Return SQL for a column's text, in which other spellings are replaced by those of the contract."""
    text = f'"{column}"'
    if pattern := strip_pattern(spec, dialect.strip):
        text = f"regexp_replace({text}, {quote(pattern)}, '', 'g')"
    values = dialect.values.get(column, {})
    if values and not spec.allowed:
        whens = " ".join(f"WHEN {quote(given.lower())} THEN {quote(meant)}" for given, meant in values.items())
        text = f"CASE lower({trimmed(text)}) {whens} ELSE {text} END"
    return text


def strip_pattern(spec: Column, strip: tuple[str, ...]) -> str:
    """Return the pattern of what is to be removed around a column's values; "" if there is nothing."""
    if spec.type == "text":
        return ""
    # A word at the end of an id belongs to it.
    used = [text for text in strip if spec.type != "id" or not any(map(str.isalpha, text))]
    around = "|".join(map(re.escape, sorted(used, key=len, reverse=True)))
    return f"^(?:[{BLANKS}]*(?:{around}))+|(?:(?:{around})[{BLANKS}]*)+$" if around else ""


def trimmed(text: str) -> str:
    """Return SQL for a text without blanks at its ends."""
    return f"trim({text}, {quote(BLANKS)})"


def is_missing(text: str, dialect: Dialect) -> str:
    """Return SQL that is true for a text without a value: empty, blank, or one of the dialect's null literals."""
    return f"(coalesce({trimmed(text)}, '') = '' OR {is_null_literal(trimmed(text), dialect)})"


def is_null_literal(text: str, dialect: Dialect) -> str:
    """Return SQL that is true for a text without blanks that means that a value is missing."""
    # DuckDB turns IN with many values into a join, which looks at all rows, also those that CASE leaves out.
    pattern = "|".join(re.escape(null.lower()) for null in dialect.nulls)
    return f"regexp_full_match(lower({text}), {quote(pattern)})" if pattern else "false"


def value_of(column: str, spec: Column, dialect: Dialect, has_unseen: bool, has_breaks: bool) -> str:
    """Return SQL for a field's value; null if its text is missing or does not fit the column's type.

    Parameters
    ----------
    column, spec : str, Column
        The column.
    dialect : Dialect
        How the CSV is written.
    has_unseen : bool
        There are characters of UNSEEN in the CSV: few CSVs have any, and looking for them in each field takes long.
    has_breaks : bool
        There are line breaks in fields.
    """
    text = f'"text_{column}"'
    # A literal like -999 could be read as a number.
    if any(map(str.isdigit, "".join(dialect.nulls))) and spec.type != "text":
        value = _value_of(column, spec, dialect, has_unseen, has_breaks)
        return f"CASE WHEN NOT {is_null_literal(trimmed(text), dialect)} THEN {value} END"
    return _value_of(column, spec, dialect, has_unseen, has_breaks)


def _value_of(column: str, spec: Column, dialect: Dialect, has_unseen: bool, has_breaks: bool) -> str:
    text = f'"text_{column}"'
    if spec.allowed:
        spellings = {value: value for value in spec.allowed} | spec.aliases | dialect.values.get(column, {})
        whens = " ".join(f"WHEN {quote(text.lower())} THEN {quote(value)}" for text, value in spellings.items())
        return f"CASE lower({trimmed(text)}) {whens} END"
    if spec.type == "text" or (spec.type == "id" and dialect.user_id == "text"):
        return _text(text, dialect, has_unseen, has_breaks)
    if spec.type == "date":
        return _date(text, dialect, has_unseen)
    if column == "DESCUENTO" and dialect.discount == "percent":
        # Multiplying keeps decimals exact, dividing does not.
        percent = _number(text, Type("DECIMAL(11, 6)", ""), dialect, has_unseen, True)
        return f"TRY_CAST({percent} * 0.01 AS {TYPES[spec.type].sql})"
    return _number(text, TYPES[spec.type], dialect, has_unseen, spec.type == "fraction")


def _text(text: str, dialect: Dialect, has_unseen: bool, has_breaks: bool) -> str:
    # Few texts begin or end with a blank, and looking is cheaper than trimming.
    unseen = UNSEEN if has_unseen else ""
    breaks = "\n" if has_breaks else ""
    ends = [f"ends_with({text}, {quote(blank)})" for blank in f" \t{breaks}{unseen}"]
    begins = [f"ascii({text}) <= 32", *(f"ascii({text}) = {ord(blank)}" for blank in unseen)]
    has_blanks = " OR ".join([*begins, *ends])
    longest = max(map(len, dialect.nulls), default=0)
    is_null = f"CASE WHEN strlen({text}) <= {longest} THEN {is_null_literal(text, dialect)} ELSE false END"
    return (
        f"CASE WHEN {has_blanks} THEN CASE WHEN NOT {is_missing(text, dialect)} THEN {trimmed(text)} END "
        f"WHEN {is_null} THEN NULL ELSE nullif({text}, '') END"
    )


def _number(text: str, kind: Type, dialect: Dialect, has_unseen: bool, is_fraction: bool) -> str:
    """Return SQL for a number; numbers are parsed as decimals, never as floats."""
    decimal, thousands = dialect.decimal, dialect.thousands
    if is_fraction and decimal == ",":
        # A fraction has no thousands: a point can only be its decimal point too.
        return _cast(f"replace({text}, ',', '.')", kind, has_unseen)
    if is_fraction:
        thousands = None
    if decimal == "." and not thousands:
        return _cast(text, kind, has_unseen)
    plain = f"replace({text}, ',', '.')" if decimal == "," else text
    whens = []
    if thousands:
        pattern = rf"-?[1-9][0-9]{{0,2}}({re.escape(thousands)}[0-9]{{3}})+({re.escape(decimal)}[0-9]*)?"
        joined = plain.replace(text, f"replace({text}, {quote(thousands)}, '')")
        grouped = (
            f"CASE WHEN regexp_full_match({trimmed(text)}, {quote(pattern)}) THEN {_cast(joined, kind, has_unseen)} END"
        )
        whens.append(f"WHEN contains({trimmed(text)}, {quote(thousands)}) THEN {grouped}")
    if decimal == "," and thousands != ".":
        whens.append(f"WHEN contains({text}, '.') THEN NULL")
    return f"CASE {' '.join(whens)} ELSE {_cast(plain, kind, has_unseen)} END"


def _cast(text: str, kind: Type, has_unseen: bool) -> str:
    value, of_trimmed = (f"TRY_CAST({one} AS {kind.sql})" for one in (text, trimmed(text)))
    if not kind.pattern:
        # SQL accepts 1_000 as a number, which no CSV means.
        value = f"CASE WHEN {value} IS NULL THEN {of_trimmed} ELSE {value} END" if has_unseen else value
        return f"CASE WHEN NOT contains({text}, '_') THEN {value} END"
    # Most texts are already in SQL's own notation; the pattern, which is slower, is for the others.
    pattern = f"regexp_full_match({trimmed(text)}, '{kind.pattern}')"
    return f"CASE WHEN {value}::VARCHAR = {text} THEN {value} WHEN {pattern} THEN {of_trimmed} END"


def _date(text: str, dialect: Dialect, has_unseen: bool) -> str:
    if not dialect.dates:
        return _cast(text, TYPES["date"], has_unseen)
    # Trimming takes longer than parsing, and few dates need it.
    of_trimmed, of_text = (_parsed_date(one, dialect) for one in (trimmed(text), text))
    return f"CASE WHEN {of_text} IS NULL THEN {of_trimmed} ELSE {of_text} END"


def _parsed_date(text: str, dialect: Dialect) -> str:
    written, local = dialect.zones or ("", "")
    options = []
    for form in dialect.dates:
        if form == EXCEL:
            days = f"TRY_CAST(split_part(replace({text}, ',', '.'), '.', 1) AS INTEGER)"
            is_serial = f"regexp_full_match({text}, '[0-9]{{1,6}}([.,][0-9]*)?')"
            options.append(f"CASE WHEN {is_serial} THEN {EXCEL_DAY_0} + {days} END")
            continue
        moment = f"try_strptime({text}, {quote(form)})"
        if "%z" in form.lower():
            moment = f"timezone({quote(local)}, {moment})"
        elif written and re.search("%-?[HIXc]", form):
            moment = f"timezone({quote(local)}, timezone({quote(written)}, {moment}))"
        options.append(f"{moment}::DATE")
    return f"coalesce({', '.join(options)})" if options[1:] else options[0]
