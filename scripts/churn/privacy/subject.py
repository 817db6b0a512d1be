"""The user to erase: the ways in which the id may be written."""

import os
import re
from dataclasses import dataclass, field
from functools import cached_property

from churn.base.command import UserError
from churn.data.contract import USER
from churn.data.fields import UNSEEN
from churn.data.mapping import Dialect, Mapping
from churn.release.pseudonyms import VARIABLE, pseudonym, read_key

WHOLE = re.compile(r"[0-9]{1,18}")
# The columns with users' ids, in every table of the pipeline.
USER_COLUMNS = (USER, "user_id")
# In a field between quotes, each is written twice.
QUOTES = "\"'`|"


@dataclass(frozen=True)
class Subject:
    """A user.

    Attributes
    ----------
    id : str
        The id as it is written without leading zeros, or exactly as given if ids are text.
    pseudonym : str
        The id in datasets with pseudonyms, "" without the key.
    thousands : tuple of str
        The characters that may be between thousands.
    """

    id: str
    pseudonym: str = field(default="", compare=False)
    thousands: tuple[str, ...] = ()

    @property
    def number(self) -> int | None:
        """The id as a number, None if it is a text."""
        return int(self.id) if WHOLE.fullmatch(self.id) else None

    @cached_property
    def spelling(self) -> str:
        """A regular expression that finds the id wherever it may be: digits in groups, quotes doubled."""
        if self.number is None:
            return "".join(f"{re.escape(one)}{{1,2}}" if one in QUOTES else re.escape(one) for one in self.id)
        return self._between.join(self.id)

    @cached_property
    def word(self) -> re.Pattern[bytes]:
        """The id as a whole word in UTF-8, with leading zeros, thousands or `.0` if it is a number."""
        if self.number is None:
            letters = rb"[0-9A-Za-z\x80-\xff]"
            blanks = [blank.encode() for blank in UNSEEN]
            before = b"|".join([b"(?<!" + letters + b")", *(b"(?<=" + blank + b")" for blank in blanks)])
            after = b"|".join([b"(?!" + letters + b")", *(b"(?=" + blank + b")" for blank in blanks)])
            return re.compile(b"(?:" + before + b")" + self.spelling.encode() + b"(?:" + after + b")")
        first = len(self.id) % 3 or 3
        groups = [self.id[:first], *(self.id[at : at + 3] for at in range(first, len(self.id), 3))]
        digits = rf"0*{self._between.join(groups)}(?:\.0+)?"
        return re.compile(rf"(?<![0-9A-Za-z]){digits}(?![0-9A-Za-z])".encode())

    @property
    def _between(self) -> str:
        return f"(?:{'|'.join(map(re.escape, self.thousands))})?" if self.thousands else ""

    @cached_property
    def _anywhere(self) -> re.Pattern[bytes]:
        return re.compile(self.spelling.encode())

    def may_be_in(self, text: bytes, dialect: Dialect) -> bool:
        """Return whether a text in UTF-8 may name the user; quick, and never wrong in saying no."""
        if USER in dialect.values:
            return True
        if self.number is not None and not self.thousands:
            return self.id.encode() in text
        return self._anywhere.search(text) is not None

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
    if has_text_ids(mapping):
        return _subject(text, mapping)
    if not WHOLE.fullmatch(text):
        raise UserError(
            f"USER is {text!r}, but the ids of users are whole numbers of at most 18 digits (user_id in "
            "data/mapping.yaml)."
        )
    return _subject(str(int(text)), mapping)


def has_text_ids(mapping: Mapping) -> bool:
    """Return whether the ids of users are texts."""
    return any(dialect.user_id == "text" for dialect in mapping.dialects.values())


def _subject(user: str, mapping: Mapping) -> Subject:
    known = pseudonym(user, read_key()) if os.environ.get(VARIABLE) else ""
    return Subject(user, known, tuple(sorted({one.thousands for one in mapping.dialects.values() if one.thousands})))
