"""What was recognised in a file or in a delivery: keys of the mapping with their evidence, questions and notes."""

import re
from dataclasses import dataclass, field
from typing import Any

LONGEST = 40


@dataclass(frozen=True)
class Guess:
    """A key of the mapping, or a note about something that needs no key.

    Attributes
    ----------
    key : str
        The path of the key, such as files.PAYMENTS.csv.columns.FECHA; "" for a note.
    value
        The proposed value; None for a note.
    evidence : str
        One short sentence with counts.
    certain : bool
        The data allow only this value.
    alternative : str
        What else the data may mean; "" if `certain`.
    """

    key: str
    value: Any
    evidence: str
    certain: bool = True
    alternative: str = ""


@dataclass(frozen=True)
class Finding:
    """A guess within one file: its key is a tuple, such as ("columns", "FECHA")."""

    key: tuple[str, ...]
    value: Any
    evidence: str
    certain: bool = True
    alternative: str = ""


@dataclass
class Findings:
    """All that was recognised in one file.

    Attributes
    ----------
    found : list of Finding
        The keys of the mapping.
    notes : list of str
        Differences from the contract that need no key.
    questions : list of str
        What the data cannot decide.
    silent : set of str
        The keys about which the file says nothing, such as dates if it has no date.
    """

    found: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)

    def add(
        self, key: str | tuple[str, ...], value: Any, evidence: str, certain: bool = True, alternative: str = ""
    ) -> None:
        """Add a key of the mapping."""
        path = (key,) if isinstance(key, str) else key
        self.found.append(Finding(path, value, evidence, certain, alternative))


def shape(text: str) -> str:
    """Return the shape of an id, which a message may show: 9 for each digit, A for each letter but E in 1.5E+18."""
    is_number = re.fullmatch(r"[0-9.,]+E\+?[0-9]+", text, re.IGNORECASE)
    digits = re.sub(r"\d", "9", text)
    return digits if is_number else re.sub(r"[^\W\d_]", "A", digits)


def shown(text: str) -> str:
    """Return a delivered text for a message: quoted, on one line and not too long."""
    return repr(text if len(text) <= LONGEST else text[: LONGEST - 3] + "...")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 row" or "4,843 rows"."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"
