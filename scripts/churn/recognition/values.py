"""Recognise the words, units and signs of values: genders, states of the investment, percentages, refunds, ranges."""

import re
from collections import Counter
from collections.abc import Callable

from churn.data.contract import FILES
from churn.recognition.findings import Finding, Findings, counted, shown
from churn.recognition.names import simple
from churn.recognition.rows import Table

# Words in Spanish and English exports for the contract's values, as `names.simple` writes them.
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "GENDER": {
        "F": ("femenino", "femenina", "fem", "female", "mujer", "woman"),
        "M": ("masculino", "masc", "male", "hombre", "varon", "man"),
    },
    "INVERSION": {
        "Investing": ("invirtiendo", "invertiendo", "invierte", "inversor", "inversion activa", "invested", "investor"),
        "Eligible": ("elegible", "habilitado", "apto", "can invest"),
        "Warmup": ("warm up", "calentamiento", "en preparacion", "preparando"),
        "Pending": ("pendiente", "en espera", "en proceso", "en tramite"),
    },
}
# H is hombre (man) and V is varon (man); with one of them, M may be mujer (woman).
MAN_LETTERS = ("h", "v")
SOME = 0.005
MIN_ROWS = 3
# If more values are outside the bounds than this, the column means something else.
OUTSIDE = 0.05
BIRTH_YEARS = (1900, 2030)
Parse = Callable[[str, str], float | None]
# How spreadsheets write large numbers.
ROUNDED = re.compile(r"\d([.,]\d+)?E\+?\d+")


def find_words(file: str, table: Table, nulls: frozenset[str], found: Findings) -> None:
    """Add what the words in a file's columns with few allowed values mean; ask about unknown ones."""
    for column, values in table.values.items():
        spec = FILES[file][column]
        if not spec.allowed:
            continue
        known = {word.casefold() for word in (*spec.allowed, *spec.aliases)}
        odd = {
            text: times
            for text, times in values.items()
            if text and text.casefold() not in known and text.casefold() not in nulls
        }
        meanings = {word: value for value, words in WORDS[column].items() for word in words}
        mapped = {text: meanings[simple(text)] for text in odd if simple(text) in meanings}
        times = sum(odd[text] for text in mapped)
        evidence = f"{counted(times, 'value')} {', '.join(map(shown, mapped))} in {column}"
        if column == "GENDER" and (letters := [text for text in odd if text.casefold() in MAN_LETTERS]):
            mapped |= dict.fromkeys(letters, "M")
            _add_letters(column, values, mapped, letters, found)
        elif mapped:
            found.add(("values", column), mapped, evidence)
        for text, number in sorted(odd.items(), key=lambda one: -one[1]):
            if text not in mapped and number >= max(MIN_ROWS, SOME * table.rows):
                found.questions.append(
                    f"{file}: {column} has {counted(number, 'value')} {shown(text)}, which is not one of "
                    f"{', '.join(spec.allowed)}. What does it mean? Without a mapping these rows are rejected."
                )


def _add_letters(
    column: str, values: Counter[str], mapped: dict[str, str], letters: list[str], found: Findings
) -> None:
    number = sum(values[letter] for letter in letters)
    evidence = f"{counted(number, 'value')} {', '.join(letters)} (hombre or varón)"
    women = [text for text in values if text.casefold() == "m"]
    if women and not any(text.casefold() == "f" for text in values):
        mapped |= dict.fromkeys(women, "F")
        evidence += f" and {counted(sum(values[text] for text in women), 'value')} M, but no F: M is read as mujer"
    found.add(("values", column), mapped, evidence, certain=False, alternative="M is masculino")


def find_discount(tables: dict[str, Table], parse: Parse, questions: list[str]) -> Finding | None:
    """Return the key discount if discounts are percentages."""
    table = tables.get("PAYMENTS.csv", Table())
    numbers: Counter[float] = Counter()
    for text, times in table.values.get("DESCUENTO", Counter()).items():
        number = parse("DESCUENTO", text)
        if number:
            numbers[number] += times
    texts = {text: times for text, times in table.values.get("DESCUENTO", Counter()).items() if text.strip()}
    signs = sum(times for text, times in texts.items() if text.strip().endswith("%"))
    if signs:
        # If only some have the sign, `find_strip` asks about them.
        evidence = f"{counted(signs, 'discount')} with a percent sign"
        return Finding(("discount",), "percent", evidence) if signs >= (1 - SOME) * sum(texts.values()) else None
    above = sum(times for number, times in numbers.items() if 1 < number <= 100)
    if above < max(1, SOME * numbers.total()):
        return None
    most = max(number for number in numbers if number <= 100)
    evidence = f"{above:,} of {counted(numbers.total(), 'discount')} are above 1, up to {most:g}"
    if 2 * above > numbers.total():
        return Finding(("discount",), "percent", evidence)
    questions.append(f"PAYMENTS.csv: DESCUENTO: {evidence}. Are all of them percentages? The proposal reads fractions.")
    return None


def ask_refunds(tables: dict[str, Table], parse: Parse, questions: list[str]) -> None:
    """Ask what payments below 0 are."""
    table = tables.get("PAYMENTS.csv", Table())
    values = table.values.get("SPENT", Counter())
    below = sum(times for text, times in values.items() if (parse("SPENT", text) or 0) < 0)
    if below >= max(MIN_ROWS, SOME * table.rows):
        questions.append(
            f"PAYMENTS.csv: SPENT is below 0 in {counted(below, 'row')}. Are they refunds? They are rejected unless "
            "you set refunds: subtract."
        )


def ask_signs(file: str, table: Table, found: Findings) -> None:
    """Ask about amounts whose minus sign is behind them or is a pair of brackets, and about those that were rounded."""
    for column, values in table.values.items():
        if FILES[file][column].type != "money":
            continue
        odd = {text: times for text, times in values.items() if text.endswith("-") or text.startswith("(")}
        number = sum(odd.values())
        if number >= max(MIN_ROWS, SOME * table.rows):
            found.questions.append(
                f"{file}: {column} has {counted(number, 'amount')} like {shown(next(iter(odd)))}, which accountants "
                "write for amounts below 0. No mapping reads them: deliver them with a minus sign in front."
            )
        rounded = sum(times for text, times in values.items() if ROUNDED.fullmatch(text))
        if rounded >= max(MIN_ROWS, SOME * table.rows):
            found.questions.append(
                f"{file}: {column} has {counted(rounded, 'amount')} like 2.96E+05: a spreadsheet has rounded them. "
                "Deliver the file again, exported without a spreadsheet."
            )


def ask_ranges(file: str, table: Table, parse: Parse, found: Findings) -> None:
    """Ask about numbers of which many are outside the contract's bounds."""
    for column, values in table.values.items():
        spec = FILES[file][column]
        if spec.type != "whole":
            continue
        numbers = {text: number for text in values if (number := parse(column, text)) is not None}
        outside = {
            text: number
            for text, number in numbers.items()
            if (spec.minimum is not None and number < spec.minimum)
            or (spec.maximum is not None and number > spec.maximum)
        }
        times = sum(values[text] for text in outside)
        if times < max(MIN_ROWS, OUTSIDE * table.rows):
            continue
        is_year = all(BIRTH_YEARS[0] <= number <= BIRTH_YEARS[1] for number in outside.values())
        hint = " Are they years of birth? No mapping reads them." if column == "AGE" and is_year else ""
        bounds = f"{spec.minimum} to {spec.maximum}" if spec.maximum is not None else f"{spec.minimum} or more"
        found.questions.append(
            f"{file}: {column} has {counted(times, 'value')} outside {bounds}, such as "
            f"{shown(next(iter(outside)))}.{hint}"
        )
