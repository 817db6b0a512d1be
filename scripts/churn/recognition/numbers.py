"""Recognise the characters before decimals and between thousands."""

import re
from collections import Counter
from dataclasses import dataclass, field

from churn.data.contract import FILES
from churn.recognition.findings import Findings, counted, shown
from churn.recognition.marks import bare
from churn.recognition.rows import Table

AMOUNTS = ("money", "fraction")
THOUSANDS = re.compile(r"\d{1,3}(?:([., '\u00a0\u202f])\d{3})(?:\1\d{3})*(?:([.,])\d+)?")
SIGNS = "+-()"
# Below this share, values that are written another way than the rest are bad values.
SOME = 0.005


@dataclass
class Marks:
    """How often the numbers of a column show which characters they have.

    Attributes
    ----------
    decimals : Counter
        Values that have this character before decimals and allow no other reading.
    thousands : Counter
        Values that have this character between thousands and allow no other reading.
    either : Counter
        Values like 1.500, by their character: 1500 or 1.5.
    examples : dict of str
        For each character of `either`, the first such value.
    long_whole : int
        Values of more than three digits without any such character.
    numbers : int
        All values that are a number.
    """

    decimals: Counter[str] = field(default_factory=Counter)
    thousands: Counter[str] = field(default_factory=Counter)
    either: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    long_whole: int = 0
    numbers: int = 0

    def __add__(self, other: "Marks") -> "Marks":
        return Marks(
            self.decimals + other.decimals,
            self.thousands + other.thousands,
            self.either + other.either,
            other.examples | self.examples,
            self.long_whole + other.long_whole,
            self.numbers + other.numbers,
        )

    @property
    def undecided(self) -> str:
        """The character of a column that can be read either way, or ""."""
        decided = self.decimals[","] + self.decimals["."] + self.thousands.total()
        return max(self.either, key=lambda one: self.either[one]) if self.either and not decided else ""


def read_marks(values: Counter[str], strip: tuple[str, ...]) -> Marks:
    """Return what the values of a column show."""
    marks = Marks()
    for text, times in values.items():
        number = bare(text, strip).strip(SIGNS + " ")
        if re.fullmatch(r"\d+", number):
            marks.numbers += times
            marks.long_whole += times * (len(number) > 3)
        elif re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", number):
            character = number[-4]
            marks.numbers += times
            marks.either[character] += times
            marks.examples.setdefault(character, number)
        elif re.fullmatch(r"\d*[.,]\d+([eE][+-]?\d+)?", number):
            marks.numbers += times
            marks.decimals["," if "," in number else "."] += times
        elif (found := THOUSANDS.fullmatch(number)) and found[1] != found[2]:
            marks.numbers += times
            marks.thousands[found[1]] += times
            if found[2]:
                marks.decimals[found[2]] += times
    return marks


def collect_marks(file: str, table: Table, strip: tuple[str, ...]) -> dict[str, Marks]:
    """Return what each column of numbers shows; one of whole numbers only if it has thousands."""
    columns = {}
    for column, values in table.values.items():
        kind = FILES[file][column].type
        if kind in AMOUNTS:
            columns[column] = read_marks(values, strip)
        if kind == "fraction":
            # Neither a share nor a percentage is above 999.
            columns[column].decimals.update(columns[column].either)
            columns[column].either.clear()
        if kind == "whole" and (groups := _whole_thousands(values, strip)):
            columns[column] = Marks(thousands=groups, numbers=groups.total())
    return columns


def sum_amounts(file: str, columns: dict[str, Marks]) -> Marks:
    """Return the sum over a file's columns of amounts and whole numbers, without fractions."""
    return sum((marks for column, marks in columns.items() if FILES[file][column].type != "fraction"), Marks())


def _whole_thousands(values: Counter[str], strip: tuple[str, ...]) -> Counter[str]:
    """Return the characters between thousands of whole numbers; 5.0 and 5.000 have none."""
    marks = read_marks(Counter({text: times for text, times in values.items() if not text.endswith("000")}), strip)
    return marks.thousands + marks.either


def find_numbers(file: str, columns: dict[str, Marks], everywhere: Marks, found: Findings) -> tuple[str, str]:
    """Return the characters before decimals and between thousands of a file, and add them to `found`.

    Parameters
    ----------
    columns : dict of Marks
        From `collect_marks`.
    everywhere : Marks
        The sum over all columns of amounts of the delivery: the second opinion on a column like 1.500.
    """
    total = sum(columns.values(), Marks())
    amounts = sum_amounts(file, columns)
    if not total.decimals and not total.thousands and not total.either:
        found.silent |= {"decimal", "thousands"}
        return ".", ""
    thousands = _main(amounts)
    decimal = _decimal(total, amounts, thousands)
    undecided = {name: marks for name, marks in columns.items() if marks.undecided not in ("", thousands)}
    if undecided:
        return _guess(file, undecided, columns, everywhere, decimal, thousands, found)
    if not thousands and not amounts.long_whole and decimal == ",":
        found.silent.add("thousands")
    _add_decimal(decimal, total, found)
    if thousands:
        times = amounts.thousands[thousands] + amounts.either[thousands]
        evidence = f"{counted(times, 'amount')} with {shown(thousands)} between thousands"
        found.add("thousands", thousands, evidence)
    _ask_conflicts(file, columns, decimal, thousands, found)
    return decimal, thousands


def _main(amounts: Marks) -> str:
    """Return the most common character between thousands, or "" if it is rare."""
    for character, times in amounts.thousands.most_common(1):
        if amounts.decimals[character] > times:
            return ""
        # Beside 1.234.567, where no value is like 1.5, a value like 1.500 has it too.
        times += 0 if amounts.decimals[character] else amounts.either[character]
        if times >= SOME * amounts.numbers:
            return character
    return ""


def _decimal(total: Marks, amounts: Marks, thousands: str) -> str:
    if thousands in (".", ","):
        return "," if thousands == "." else "."
    # A fraction like 0,05 counts only if the amounts say nothing.
    counts = amounts.decimals if amounts.decimals else total.decimals
    return "," if counts[","] > counts["."] else "."


def _add_decimal(decimal: str, marks: Marks, found: Findings) -> None:
    if decimal != ",":
        return
    times = marks.decimals[","]
    found.add(
        "decimal",
        ",",
        f"{counted(times, 'number')} with a comma before decimals, {marks.decimals['.']:,} with a point"
        if times
        else f"The point is between thousands in {counted(marks.thousands['.'] + marks.either['.'], 'number')}",
    )


def _guess(
    file: str,
    undecided: dict[str, Marks],
    columns: dict[str, Marks],
    everywhere: Marks,
    decimal: str,
    thousands: str,
    found: Findings,
) -> tuple[str, str]:
    """Choose the likelier reading of columns in which all values look like 1.500."""
    character = next(iter(undecided.values())).undecided
    total, money = sum(undecided.values(), Marks()), sum_amounts(file, columns)
    has_short_whole = total.numbers > total.either.total() + total.long_whole
    if money.decimals[character]:
        is_thousands, reason = False, f"other amounts of the file have {shown(character)} before decimals"
    elif money.decimals.total():
        is_thousands, reason = True, f"other amounts of the file have {shown(decimal)} before decimals"
    elif everywhere.thousands[character]:
        is_thousands, reason = True, f"other files have {shown(character)} between thousands"
    elif everywhere.decimals[character]:
        is_thousands, reason = False, f"other files have {shown(character)} before decimals"
    elif everywhere.decimals.total():
        is_thousands, reason = True, "other files have the other character before decimals"
    elif total.long_whole:
        is_thousands, reason = False, f"{counted(total.long_whole, 'value')} of more than 3 digits without it"
    elif not has_short_whole and sum(columns.values(), Marks()).decimals[character]:
        is_thousands, reason = False, f"other columns of the file have {shown(character)} before decimals"
    else:
        is_thousands, reason = (
            True,
            "amounts have two decimals or none, and here there are always three digits after it",
        )
    other = "." if character == "," else ","
    if is_thousands:
        decimal, thousands = other, character
    else:
        decimal, thousands = character, thousands if thousands != character else ""
    example = total.examples[character]
    readings = (example.replace(character, ""), example.replace(character, "."))
    evidence = (
        f"All {total.either[character]:,} values of {', '.join(undecided)} that are not whole look like "
        f"{shown(example)}: {reason}"
    )
    likelier, alternative = readings if is_thousands else readings[::-1]
    if decimal == ",":
        found.add("decimal", ",", evidence, False, f"{shown(example)} is {alternative}")
    found.add("thousands", thousands, evidence, False, f"{shown(example)} is {alternative}")
    for column, marks in undecided.items():
        one = marks.examples[character]
        found.questions.append(
            f"{file}: {column}: {one} is {one.replace(character, '')} or {one.replace(character, '.')}? The proposal "
            f"reads {likelier if one == example else one.replace(character, '' if is_thousands else '.')}."
        )
    _ask_conflicts(file, columns, decimal, thousands, found)
    return decimal, thousands


def _ask_conflicts(file: str, columns: dict[str, Marks], decimal: str, thousands: str, found: Findings) -> None:
    """Ask about columns that are written another way than the file's other numbers."""
    other = "." if decimal == "," else ","
    for column, marks in columns.items():
        wrong = marks.decimals[other]
        if wrong and wrong >= SOME * marks.numbers:
            found.questions.append(
                f"{file}: {column} has {counted(wrong, 'value')} with {shown(other)} before decimals, but the file's "
                f"other numbers have {shown(decimal)} there"
                + (f" or {shown(thousands)} between thousands" if thousands else "")
                + ". One mapping cannot read both: deliver the file with one kind of numbers."
            )


def parse_number(text: str, decimal: str, thousands: str) -> float | None:
    """Return a number that is written with these characters, or None if the text is not one."""
    if thousands and thousands in text:
        group = re.escape(thousands)
        if not re.fullmatch(rf"[+-]?\d{{1,3}}({group}\d{{3}})+(\{decimal}\d*)?", text):
            return None
        text = text.replace(thousands, "")
    if decimal == ",":
        text = text.replace(",", ".")
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
        return None
    return float(text)
