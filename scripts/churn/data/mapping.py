"""Read data/mapping.yaml: how the delivered files are written, where they differ from the contract.

Nothing in it changes a delivered byte: it is applied whenever a file is read. An empty mapping is the contract itself.
"""

import codecs
import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from churn.base.command import UserError, suggest
from churn.base.files import quote
from churn.base.params import SCHEMAS, read_validated
from churn.data.contract import FILES

MAPPING = Path("data/mapping.yaml")
SCHEMA = SCHEMAS / "mapping.schema.yaml"
NULLS = ("NULL", "(null)", "NaN", "NaT", "None", "NA", "N/A", "#N/A", "<NA>", "\\N")
EXCEL = "excel"


@dataclass(frozen=True)
class Dialect:
    """How one file is written; the defaults are the contract. See workflow/schemas/mapping.schema.yaml.

    Attributes
    ----------
    thousands : str or None
        "" if there is no such character, None if that is not stated: then an ambiguous column is refused.
    dates : tuple of str
        Formats of strptime; empty for YYYY-MM-DD.
    zones : tuple of str
        Empty, or the time zone of the times and the one whose days count.
    columns : dict of str
        The delivered name of each column of the contract that has another.
    values : dict of dict
        For each column, the value that a text means.
    skip_lines : int
        The number of lines before the header.
    skip_rows : dict of list
        For each column, the texts that mark a line as no row.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    decimal: str = "."
    thousands: str | None = None
    dates: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    nulls: tuple[str, ...] = NULLS
    strip: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    skip_lines: int = 0
    repeated_headers: bool = False
    skip_rows: dict[str, list[str]] = field(default_factory=dict)
    user_id: str = "whole"
    discount: str = "fraction"
    refunds: str = "reject"


@dataclass(frozen=True)
class Mapping:
    """How all files are written: the dialect of each, by its name in the contract, and the names of delivered files."""

    dialects: dict[str, Dialect] = field(default_factory=lambda: dict.fromkeys(FILES, Dialect()))
    names: dict[str, str] = field(default_factory=dict)


def read_mapping(path: Path) -> Mapping:
    """Return data/mapping.yaml, validated; the contract if there is no such file.

    Raises
    ------
    UserError
        When it breaks the schema, or names an unknown column, encoding, time zone or date format.
    """
    content: dict[str, Any] = (read_validated(path, SCHEMA) if os.path.lexists(path) else None) or {}
    files = {name: own or {} for name, own in (content.pop("files", None) or {}).items()}
    _check_skipped(path, content, [column for columns in FILES.values() for column in columns])
    dialects = {}
    for name in FILES:
        own = files.get(name, {})
        _check_columns(path, name, own)
        # Keys of a file replace those of all files.
        dialects[name] = _make_dialect(path, content | own)
    return Mapping(dialects, {name: own["name"] for name, own in files.items() if "name" in own})


def _make_dialect(path: Path, keys: dict[str, Any]) -> Dialect:
    known = {one.name for one in fields(Dialect)}
    given = {key: value for key, value in keys.items() if key in known}
    dates, strip, skip, zones = (keys.get(key, ()) for key in ("dates", "strip", "skip", "time_zone"))
    dialect = Dialect(
        **given
        | {
            "dates": (dates,) if isinstance(dates, str) else tuple(dates),
            "strip": (strip,) if isinstance(strip, str) else tuple(strip),
            "nulls": tuple(keys.get("nulls", NULLS)),
            "zones": (zones["written"], zones["local"]) if zones else (),
            "skip_lines": dict(skip).get("lines", 0),
            "repeated_headers": dict(skip).get("repeated_headers", False),
            "skip_rows": dict(skip).get("rows", {}),
        }
    )
    _check_dialect(path, dialect)
    return dialect


def _check_dialect(path: Path, dialect: Dialect) -> None:
    try:
        codecs.getincrementaldecoder(dialect.encoding)("replace").decode("a".encode(dialect.encoding))
    except (LookupError, UnicodeError, AssertionError):
        raise UserError(
            f"{path}: encoding {dialect.encoding!r} is unknown. Use utf-8, windows-1252, utf-16 or another name that "
            "Python has."
        ) from None
    for zone in dialect.zones:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise UserError(f"{path}: time zone {zone!r} is unknown. Use a name like America/Lima or UTC.") from None
    if dialect.decimal == dialect.thousands:
        raise UserError(f"{path}: decimal and thousands are both {dialect.decimal!r}. They must differ.")
    if dialect.delimiter == dialect.quote:
        raise UserError(f"{path}: delimiter and quote are both {dialect.quote!r}. They must differ.")
    for form in dialect.dates:
        if form != EXCEL and not _is_date_format(form):
            raise UserError(
                f"{path}: {form!r} is not a format of dates: it needs %d (day), %m (month; %b for Mar) and %Y (year; "
                f"%y for 26), or is {EXCEL!r}."
            )
        if form == EXCEL and dialect.zones:
            raise UserError(f"{path}: time_zone cannot be used with dates: {EXCEL}. Deliver days in local time.")
        if re.search(r"%z|\d?(Z|UTC|GMT)$", form, re.IGNORECASE) and not dialect.zones:
            raise UserError(
                f"{path}: {form!r} has a time zone, so time_zone must say whose days count, such as "
                "time_zone: {written: UTC, local: America/Lima}."
            )


def _is_date_format(form: str) -> bool:
    """Return whether a format names a day, a month and a year, and DuckDB knows all that it names."""
    named = set(re.findall(r"%-?(.)", form))
    if not (named & set("Yy") and ((named & set("mbB") and "d" in named) or "j" in named)):
        return False
    try:
        duckdb.execute(f"SELECT try_strptime('', {quote(form)})")
    except duckdb.Error:
        return False
    return True


def _check_skipped(path: Path, keys: dict[str, Any], columns: list[str]) -> None:
    for column in keys.get("skip", {}).get("rows", {}):
        if column not in columns:
            raise UserError(
                f"{path}: skip.rows: {column!r} is not a column of the contract. {suggest(column, columns)}"
            )


def _check_columns(path: Path, name: str, own: dict[str, Any]) -> None:
    """Raise `UserError` if a file's keys name a column that is not in the contract, or two columns alike."""
    _check_skipped(path, own, list(FILES[name]))
    delivered = [own.get("columns", {}).get(column, column).strip().casefold() for column in FILES[name]]
    if twice := [one for one in delivered if delivered.count(one) > 1]:
        raise UserError(f"{path}: files.{name}.columns: two columns have the delivered name {twice[0]!r}.")
    for key in "columns", "values":
        for column in own.get(key, {}):
            if column not in FILES[name]:
                raise UserError(
                    f"{path}: files.{name}.{key}: {column!r} is not a column of the contract. "
                    f"{suggest(column, FILES[name])}"
                )
    for column, texts in own.get("values", {}).items():
        allowed = FILES[name][column].allowed
        if wrong := [value for value in texts.values() if allowed and value not in allowed]:
            raise UserError(
                f"{path}: files.{name}.values.{column}: {wrong[0]!r} is not a value of the contract, which has "
                f"{', '.join(allowed)}."
            )
