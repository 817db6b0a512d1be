"""Tell thousands from decimals: 1.500 is 1500 or 1.5."""

import re

from churn.data.contract import FILES, USER
from churn.data.fields import trimmed
from churn.data.mapping import Dialect


def thousands_pattern(point: str) -> str:
    """Return the pattern of a number with thousands, if that is what the point separates."""
    return rf"-?[1-9][0-9]{{0,2}}([{point}][0-9]{{3}})+"


def decimal_pattern(point: str) -> str:
    """Return the pattern of a number with decimals after the point."""
    return rf"-?[0-9]*[{point}][0-9]+"


def thousands_like(column: str, dialect: Dialect, is_ambiguous: bool) -> str:
    """Return SQL for how a number's text can be read.

    It is 1 for one that can also be thousands, 2 for one with three decimals that can only be decimals and, if the
    column is ambiguous, 3 for one with other decimals; otherwise 0.
    """
    text, point = f'"text_{column}"', dialect.decimal
    grouped = f"regexp_full_match({trimmed(text)}, '{thousands_pattern(point)}')"
    if not is_ambiguous:
        return f"CASE WHEN {text} LIKE '%{point}___' THEN CASE WHEN {grouped} THEN 1 ELSE 2 END ELSE 0 END"
    return (
        f"CASE WHEN NOT contains({text}, '{point}') THEN 0 WHEN {grouped} THEN 1 "
        f"WHEN regexp_full_match({trimmed(text)}, '{decimal_pattern(point)}') THEN 3 ELSE 0 END"
    )


def may_be_thousands(name: str, header: list[str], sample: list[list[str]], dialect: Dialect) -> dict[str, bool]:
    """Return the columns of numbers that may be written with thousands, and whether the first rows leave that open."""
    if dialect.thousands is not None:
        return {}
    found = {}
    for column, spec in FILES[name].items():
        place = header.index(column)
        texts = [row[place].strip() for row in sample if place < len(row)]
        is_open = not any(only_decimal(text, dialect.decimal) for text in texts)
        if spec.type == "money" or (
            is_open and (spec.type == "whole" or (column == USER and dialect.user_id == "whole"))
        ):
            found[column] = is_open
    return found


def only_decimal(text: str, point: str) -> bool:
    """Return whether a number's text can only have decimals after its point, and not thousands."""
    return bool(re.fullmatch(decimal_pattern(point), text)) and not re.fullmatch(thousands_pattern(point), text)
