"""Recognise how all files of a delivery are written."""

import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from churn.base.command import UserError
from churn.data.contract import FILES
from churn.data.mapping import NULLS
from churn.recognition.dates import DateColumn, date_columns, find_dates, find_orders, read_dates
from churn.recognition.fields import Layout, find_layout, read_rows
from churn.recognition.findings import Findings, counted, shown
from churn.recognition.ids import add_thousands, find_user_ids, read_ids
from churn.recognition.marks import bare, find_strip
from churn.recognition.names import find_columns, list_files, match_by_header, match_files, name_pattern, note_header
from churn.recognition.nulls import find_nulls, is_null_word
from churn.recognition.numbers import Marks, collect_marks, find_numbers, parse_number, read_marks, sum_amounts
from churn.recognition.proposal import Proposal, combine
from churn.recognition.rows import Table, find_rows
from churn.recognition.sample import Sample, read_sample
from churn.recognition.values import ask_ranges, ask_refunds, ask_signs, find_discount, find_words

COMMON_MARKS = ("US$", "$", "€", "'", "%", "USD", "EUR", "ARS", "MXN", "PEN", "COP", "CLP")


@dataclass
class _File:
    """A delivered file while it is being recognised."""

    path: Path
    sample: Sample
    layout: Layout
    found: Findings = field(default_factory=Findings)
    table: Table = field(default_factory=Table)
    strip: tuple[str, ...] = ()
    marks: dict[str, Marks] = field(default_factory=dict)
    dates: dict[str, DateColumn] = field(default_factory=dict)
    forms: dict[str, tuple[str, ...]] = field(default_factory=dict)
    decimal: str = "."
    thousands: str = ""
    nulls: frozenset[str] = frozenset()


def recognise(folder: Path, today: date | None = None) -> Proposal:
    """Recognise how a delivery's files are written, and propose the content of data/mapping.yaml.

    Each file is read once, in bounded memory. The values are those of its first 50,000 rows, of pieces from all over
    it, and of its end; the encoding is that of all bytes.

    Parameters
    ----------
    folder : Path
        The five CSV files, possibly under other names and packed with gzip.
    today : date, optional
        Dates after tomorrow are unlikely when nothing else says which number is the day.

    Raises
    ------
    UserError
        When there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Give the folder with the five files of a delivery.")
    questions: list[str] = []
    files = _open_files(folder, questions)
    for name, file in files.items():
        _recognise_fields(name, file)
    everywhere = sum((sum_amounts(name, file.marks) for name, file in files.items()), Marks())
    orders = find_orders([dates for file in files.values() for dates in file.dates.values()])
    for name, file in files.items():
        file.decimal, file.thousands = find_numbers(name, file.marks, everywhere, file.found)
        file.forms = find_dates(name, file.dates, orders, today or date.today(), file.found)
        _recognise_values(name, file)
    ids = {name: read_ids(file.table, file.strip, file.nulls) for name, file in files.items()}
    found = {name: file.found for name, file in files.items()}
    can_read = add_thousands(ids, {name: (file.decimal, file.thousands) for name, file in files.items()}, found)
    payments = files.get("PAYMENTS.csv")
    tables = {name: file.table for name, file in files.items()}
    delivery = [find_user_ids(ids, can_read, questions)]
    if payments:
        parse = _parser(payments)
        delivery.append(find_discount(tables, parse, questions))
        ask_refunds(tables, parse, questions)
    return combine(found, [one for one in delivery if one], questions)


def _open_files(folder: Path, questions: list[str]) -> dict[str, _File]:
    """Read a sample of each file, and find out which of the five it is."""
    matched = match_files(folder)
    samples: dict[Path, Sample] = {}
    missing = []
    files: dict[str, _File] = {}
    for name, paths in matched.items():
        if len(paths) > 1:
            questions.append(f"Which file is {name}: {' or '.join(path.name for path in paths)}? Deliver only one.")
        elif not paths:
            missing.append(name)
        elif (sample := _sample(paths[0], questions)) and (layout := find_layout(sample.head, [name])):
            files[name] = _File(paths[0], sample, layout)
        elif sample:
            questions.append(f"{paths[0].name} has no line that can be the header of {name}. Deliver it again.")
    if missing:
        used = {path for paths in matched.values() for path in paths}
        for path in list_files(folder):
            if path not in used and (sample := _sample(path, questions)):
                samples[path] = sample
        layouts = {path: find_layout(sample.head, missing) for path, sample in samples.items()}
        for name, path in match_by_header(missing, layouts).items():
            if layout := find_layout(samples[path].head, [name]):
                files[name] = _File(path, samples[path], layout)
                files[name].found.notes.append(f"{path.name} has its columns")
    if lost := [name for name in missing if name not in files]:
        others = sorted(path.name for path in folder.iterdir() if path not in {file.path for file in files.values()})
        questions.append(
            f"{folder} has no {', '.join(lost)}, nor other text files with their columns; it also has "
            f"{', '.join(others[:10]) or 'no other file'}. Archives such as .zip are not unpacked."
        )
    ordered = {name: files[name] for name in FILES if name in files}
    for name, file in ordered.items():
        if file.path.name.lower().removesuffix(".gz") != name.lower():
            pattern = name_pattern(file.path, folder)
            file.found.add("name", pattern, f"The delivery has {file.path.name}, but no {name}")
    return ordered


def _sample(path: Path, questions: list[str]) -> Sample | None:
    try:
        sample = read_sample(path)
    except (OSError, EOFError, zlib.error) as error:
        questions.append(f"{path.name} cannot be unpacked ({error}). Deliver it again, as .csv or packed with gzip.")
        return None
    if not sample.head.strip():
        questions.append(f"{path.name} is empty. Deliver it again.")
        return None
    return sample


def _recognise_fields(name: str, file: _File) -> None:
    """Recognise the encoding, the fields and the columns, and sort the values by their shape."""
    found, encoding, layout = file.found, file.sample.encoding, file.layout
    if encoding.name != "utf-8":
        found.add("encoding", encoding.name, encoding.evidence, encoding.certain, encoding.alternative)
    elif encoding.is_marked:
        found.notes.append("begins with the byte order mark of UTF-8")
    if encoding.invalid_lines:
        lines = counted(encoding.invalid_lines, "line")
        found.questions.append(f"{name} is UTF-8, but {lines} are not: they are rejected. Were two files joined?")
    if encoding.nul_bytes:
        found.questions.append(
            f"{name} has {counted(encoding.nul_bytes, 'NUL byte')}: part of it was lost. Deliver it again."
        )
    if file.sample.line_end == "\r":
        found.notes.append("lines end in a carriage return only")
    if layout.delimiter != ",":
        found.add(
            "delimiter",
            layout.delimiter,
            f"The header has {counted(len(layout.header), 'field')} between {shown(layout.delimiter)}",
        )
    if layout.quote != '"':
        found.add("quote", layout.quote, f"Fields begin and end with {shown(layout.quote)}")
    if layout.skip_lines:
        found.add(("skip", "lines"), layout.skip_lines, f"The header is line {layout.skip_lines + 1}")
    if layout.has_hint:
        found.notes.append("the first line names the delimiter for Excel")
    note_header(name, layout, found)
    first, last = read_rows(file.sample, layout)
    file.table = find_rows(name, layout, first, last, found)
    for column, delivered in find_columns(name, file.table, lambda *one: _share_that_fits(name, *one), found).items():
        file.table.values[column] = file.table.extra.pop(delivered)
    file.strip = find_strip(name, file.table, found)
    file.marks = collect_marks(name, file.table, file.strip)
    file.dates = date_columns(name, file.table, file.strip)
    if not file.table.rows:
        found.questions.append(f"{name} has no rows. Is it complete?")


def _share_that_fits(name: str, column: str, values: Counter[str]) -> float:
    """Return which share of values have the shape of a column's type."""
    filled = Counter({text: times for text, times in values.items() if text and text.upper() not in NULLS})
    total, kind = filled.total(), FILES[name][column].type
    if not total:
        return 0.0
    if kind == "date":
        return read_dates(filled, ("'",)).rows / total
    if kind in ("money", "fraction", "whole"):
        return read_marks(filled, COMMON_MARKS).numbers / total
    if kind == "id":
        return sum(times for text, times in filled.items() if any(map(str.isdigit, text))) / total
    return 1.0


def _recognise_values(name: str, file: _File) -> None:
    """Recognise what values mean, once it is known how numbers and dates are written."""
    parse = _parser(file)
    file.nulls = find_nulls(name, file.table, lambda *one: _fits(name, file, parse, *one), file.found)
    find_words(name, file.table, file.nulls, file.found)
    ask_signs(name, file.table, file.found)
    ask_ranges(name, file.table, parse, file.found)


def _parser(file: _File) -> Callable[[str, str], float | None]:
    """Return a function that reads a number of a column of a file."""
    return lambda column, text: parse_number(bare(text, file.strip), file.decimal, file.thousands)


def _fits(name: str, file: _File, parse: Callable[[str, str], float | None], column: str, text: str) -> bool:
    """Return whether a text can be read as a column; ids are looked at elsewhere, but a null is not an id."""
    spec = FILES[name][column]
    if spec.type == "date":
        # Dates of another form than the rest are asked about elsewhere.
        return bool(read_dates(Counter([text]), file.strip).groups)
    if spec.type == "id":
        return not is_null_word(text)
    if spec.type == "text":
        return not spec.allowed and not text.startswith("#")
    # Signs and numbers that are written another way are asked about elsewhere.
    return parse(column, text) is not None or bool(read_marks(Counter([text]), file.strip).numbers)
