"""The user to erase: the ways in which the id may be written."""

import os
import re
from dataclasses import dataclass, field
from functools import cached_property

from churn.base.command import UserError
from churn.data.contract import USER
from churn.data.mapping import Dialect, Mapping
from churn.release.pseudonyms import VARIABLE, pseudonym, read_key

WHOLE = re.compile(r"[0-9]{1,18}")
# The columns with users' ids, in every table of the pipeline.
USER_COLUMNS = (USER, "user_id")


@dataclass(frozen=True)
class Subject:
    """A user.

    Attributes
    ----------
    id : str
        The id as it is written without leading zeros, or exactly as given if ids are text.
    pseudonym : str
        The id in datasets with pseudonyms, "" without the key.
    """

    id: str
    pseudonym: str = field(default="", compare=False)

    @property
    def number(self) -> int | None:
        """The id as a number, None if it is a text."""
        return int(self.id) if WHOLE.fullmatch(self.id) else None

    @cached_property
    def word(self) -> re.Pattern[bytes]:
        """The id as a whole word in UTF-8, with leading zeros or `.0` if it is a number."""
        digits = re.escape(self.id.encode())
        if self.number is not None:
            digits = rb"0*" + digits + rb"(?:\.0+)?"
        return re.compile(rb"(?<![0-9A-Za-z\x80-\xff])" + digits + rb"(?![0-9A-Za-z\x80-\xff])")

    def may_be_in(self, text: bytes, dialect: Dialect) -> bool:
        """Return whether a text in UTF-8 may name the user; quick, and never wrong in saying no."""
        if USER in dialect.values:
            return True
        if self.number is not None and dialect.thousands:
            between = rf"{re.escape(dialect.thousands)}?".encode()
            return re.search(between.join(re.escape(one.encode()) for one in self.id), text) is not None
        return self.id.encode() in text

    def is_word_in(self, text: str) -> bool:
        """Return whether a text has the id as a whole word."""
        return self.word.search(text.encode(errors="replace")) is not None


def read_subject(text: str, mapping: Mapping) -> Subject:
    """Return the user with an id.

    Raises
    ------
    UserError
        When the id is empty, or is no whole number although the drops' ids are.
    """
    text = text.strip()
    if not text:
        raise UserError('The id of the user is required: make erase USER=123 WHY="request 42 of 3 May"')
    if any(dialect.user_id == "text" for dialect in mapping.dialects.values()):
        return _subject(text)
    if not WHOLE.fullmatch(text):
        raise UserError(
            f"USER is {text!r}, but the ids of users are whole numbers of at most 18 digits (user_id in "
            "data/mapping.yaml)."
        )
    return _subject(str(int(text)))


def _subject(user: str) -> Subject:
    return Subject(user, pseudonym(user, read_key()) if os.environ.get(VARIABLE) else "")
