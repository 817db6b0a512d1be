"""Recognise texts that mean that a value is missing."""

import re
from collections import Counter
from collections.abc import Callable

from churn.data.contract import FILES
from churn.data.mapping import NULLS
from churn.recognition.findings import Findings, counted, shown
from churn.recognition.rows import Table

DEFAULT = frozenset(text.casefold() for text in NULLS)
# Texts that mean "missing" where a number, a date or one of a few words is expected.
WORDS = frozenset(
    "- -- --- ? ?? . * na n.a. n/d nd n.d. s/d sd s.d. s/i n/c nil null (null) [null] none (none) nan nat undefined "
    "vacio vacío missing unknown desconocido desconocida (blank) (en_blanco) sin_dato sin_datos no_aplica "
    "no_informado no_disponible not_available".replace(" ", "\n")
    .replace("_", " ")
    .split("\n")
)
# Excel's errors, in English and Spanish: never a value, not even of a text.
ERROR = re.compile(r"#(N/[AD]|NULL!|¡?(VALUE|VALOR|REF|DIV/0|NUM|NULO)!|¿?(NAME|NOMBRE)\?|#+)", re.IGNORECASE)
ZERO_DATE = re.compile(r"0000-00-00.*")
# Below this share, an unknown text is a bad value; so are fewer than three.
SOME = 0.01
MIN_ROWS = 3


def find_nulls(
    file: str,
    table: Table,
    fits: Callable[[str, str], bool],
    found: Findings,
) -> frozenset[str]:
    """Return all null literals of a file (in lower case), and add those beyond the default ones to `found`.

    Parameters
    ----------
    fits : callable
        Returns whether a text can be read as a column.
    """
    nulls: dict[str, None] = {}
    evidence = []
    for column, values in table.values.items():
        spec = FILES[file][column]
        unknown: Counter[str] = Counter()
        for text, times in values.items():
            lower = text.casefold()
            if not text or lower in DEFAULT or fits(column, text):
                continue
            if ERROR.fullmatch(text) or ((spec.type != "text" or spec.allowed) and is_null_word(text)):
                nulls[text] = None
                evidence.append(f"{counted(times, 'value')} {shown(text)} in {column}")
            elif (spec.type != "text") and not ZERO_DATE.fullmatch(text):
                unknown[text] += times
        _ask(file, column, unknown, table.rows, found)
    if nulls:
        found.add("nulls", [*NULLS, *nulls], "; ".join(evidence))
    return DEFAULT | {text.casefold() for text in nulls}


def is_null_word(text: str) -> bool:
    """Return whether a text usually means that a value is missing."""
    return text.casefold() in WORDS or bool(ERROR.fullmatch(text))


def _ask(file: str, column: str, unknown: Counter[str], rows: int, found: Findings) -> None:
    """Ask about texts that cannot be read, if they are many."""
    if unknown.total() < max(MIN_ROWS, SOME * rows):
        return
    common = ", ".join(f"{shown(text)} ({times:,})" for text, times in unknown.most_common(3))
    found.questions.append(
        f"{file}: {column} has {counted(unknown.total(), 'value')} that cannot be read, such as {common}. What do they "
        "mean? Without a mapping these rows are rejected."
    )
