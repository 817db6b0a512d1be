"""Recognise characters around values that are not part of them: currency signs and Excel's text marks."""

import re
from collections import Counter

from churn.data.contract import FILES
from churn.data.fields import BLANKS
from churn.recognition.findings import Findings, counted, shown
from churn.recognition.rows import Table

NUMBERS = ("money", "fraction", "whole")
CURRENCY = r"(?:[A-Z]{0,3}\$|€|£|¥|₡|₲|₱|S/|ARS|BRL|CLP|COP|EUR|MXN|PEN|PYG|USD|UYU)"
BEFORE_NUMBER = re.compile(rf"{CURRENCY}\s*(?=[\d.,-])|'(?=[\d.,-])")
AFTER_NUMBER = re.compile(rf"(?<=[\d.,])\s*{CURRENCY}$|(?<=\d)\s*%$")
FORMULA = re.compile(r'="(.*)"')
# Fewer values with such a mark are rejected as any bad value is.
SOME = 0.005


def find_strip(file: str, table: Table, found: Findings) -> str:
    """Return the characters to remove at both ends of a file's ids, numbers and dates, and add them to `found`."""
    characters: dict[str, None] = {}
    evidence = []
    for column, values in table.values.items():
        kind = FILES[file][column].type
        if kind == "text":
            continue
        marks: Counter[str] = Counter()
        for text, times in values.items():
            marks[_marks_of(text, kind)] += times
        del marks[""]
        if (times := marks.total()) and times >= SOME * values.total():
            common = marks.most_common(1)[0][0]
            evidence.append(f"{counted(times, 'value')} of {column} with {shown(common)}")
            characters |= dict.fromkeys("".join(marks))
    strip = "".join(characters)
    if strip:
        found.add("strip", strip, "; ".join(evidence))
    return strip


def bare(text: str, strip: str) -> str:
    """Return a value without the characters to strip and the blanks around it."""
    return text.strip(strip + BLANKS)


def _marks_of(text: str, kind: str) -> str:
    """Return the characters of the marks around a value, without blanks."""
    if FORMULA.fullmatch(text):
        return '="'
    if kind in NUMBERS:
        before, after = BEFORE_NUMBER.match(text), AFTER_NUMBER.search(text)
        marks = (before[0] if before else "") + (after[0] if after else "")
        return "".join(mark for mark in marks if mark not in BLANKS)
    # In front of an id or a date only Excel writes an apostrophe.
    return "'" if text.startswith("'") and not text.endswith("'") else ""
