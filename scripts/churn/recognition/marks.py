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


def find_strip(file: str, table: Table, found: Findings) -> tuple[str, ...]:
    """Return the texts to remove at both ends of a file's ids, numbers and dates, and add them to `found`.

    Amounts with different marks, or only some with a percent sign, are asked about, and their marks are not removed.
    """
    strip: dict[str, None] = {}
    evidence = []
    for column, values in table.values.items():
        kind = FILES[file][column].type
        if kind == "text":
            continue
        marks: Counter[tuple[str, ...]] = Counter()
        for text, times in values.items():
            marks[_marks_of(text, kind)] += times
        bare_values = marks.pop((), 0) - values.get("", 0)
        if not marks.total() or marks.total() < SOME * values.total():
            continue
        common = marks.most_common(1)[0][0]
        shown_marks = " and ".join(shown("".join(one)) for one, _ in marks.most_common(3))
        is_unit = any(map(str.isalpha, "".join(common))) or "$" in "".join(common) or "%" in common
        if kind in NUMBERS and is_unit and (len(marks) > 1 or bare_values > SOME * values.total()):
            found.questions.append(
                f"{file}: {column} has {shown_marks} at {counted(marks.total(), 'value')}, {bare_values:,} lack it. "
                "Are all of them in the same unit? If so, add the marks to strip; otherwise deliver one unit."
            )
            continue
        evidence.append(f"{counted(marks.total(), 'value')} of {column} with {shown_marks}")
        strip |= dict.fromkeys(text for one in marks for text in one)
    texts = tuple(strip)
    if texts:
        found.add("strip", texts[0] if len(texts) == 1 else list(texts), "; ".join(evidence))
    return texts


def bare(text: str, strip: tuple[str, ...]) -> str:
    """Return a value without the texts to strip and the blanks around it."""
    text = text.strip(BLANKS)
    for one in sorted(strip, key=len, reverse=True):
        text = text.removeprefix(one).removesuffix(one).strip(BLANKS)
    return text


def _marks_of(text: str, kind: str) -> tuple[str, ...]:
    """Return the marks around a value, without blanks."""
    if FORMULA.fullmatch(text):
        return '="', '"'
    if kind in NUMBERS:
        found = (BEFORE_NUMBER.match(text), AFTER_NUMBER.search(text))
        return tuple(one[0].strip(BLANKS) for one in found if one)
    # In front of an id or a date only Excel writes an apostrophe.
    return ("'",) if text.startswith("'") and not text.endswith("'") else ()
