"""Recognise how dates are written, and whether the day or the month comes first."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache

from churn.data.contract import FILES
from churn.data.mapping import EXCEL
from churn.recognition.findings import Findings, counted, shown
from churn.recognition.marks import bare
from churn.recognition.rows import Table

ISO = "%Y-%m-%d"
# Below this share, values that are written another way than the rest are bad values.
SOME = 0.01
# Excel's numbers of days from 1970 to 2099.
SERIALS = (25_569, 73_050)
TIME = re.compile(r"([ T]+)(\d{1,2}):(\d{2})(:\d{2})?([.,]\d{1,9})?( ?[AaPp][Mm])?( ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?$")
SHAPES = {
    r"9999-99?-99?": (ISO,),
    r"9999/99?/99?": ("%Y/%m/%d",),
    r"9999\.99?\.99?": ("%Y.%m.%d",),
    r"99?/99?/9999": ("%d/%m/%Y", "%m/%d/%Y"),
    r"99?-99?-9999": ("%d-%m-%Y", "%m-%d-%Y"),
    r"99?\.99?\.9999": ("%d.%m.%Y", "%m.%d.%Y"),
    r"99?/99?/99": ("%d/%m/%y", "%m/%d/%y"),
    r"99?-99?-99": ("%d-%m-%y", "%m-%d-%y", "%y-%m-%d"),
    r"99?\.99?\.99": ("%d.%m.%y", "%m.%d.%y"),
    r"99999999": ("%Y%m%d", "%d%m%Y"),
    r"99999(\.9+)?": (EXCEL,),
}


@dataclass
class DateColumn:
    """The dates of a column.

    Attributes
    ----------
    groups : dict
        How often each date (without its time) occurs, by the formats that its shape allows and the format of its time.
    other : Counter
        Values that have no shape of a date.
    unpadded : int
        Values like 2026-3-9.
    zoned : int
        Values with a time zone; `zone` is one of them.
    """

    groups: dict[tuple[tuple[str, ...], str], Counter[str]] = field(default_factory=dict)
    other: Counter[str] = field(default_factory=Counter)
    unpadded: int = 0
    zoned: int = 0
    zone: str = ""

    @property
    def rows(self) -> int:
        """The number of values that have the shape of a date."""
        return sum(counts.total() for counts in self.groups.values())


def read_dates(values: Counter[str], strip: tuple[str, ...]) -> DateColumn:
    """Sort the values of a column by their shape."""
    column = DateColumn()
    for raw, times in values.items():
        text = bare(raw, strip)
        day, time = text, ""
        if found := TIME.search(text):
            day, time = text[: found.start()], _time_format(found)
            if found[7]:
                column.zoned += times
                column.zone = column.zone or text
        formats = _formats_of(re.sub(r"\d", "9", day))
        if not formats or (formats == (EXCEL,) and not SERIALS[0] <= float(day) <= SERIALS[1]):
            column.other[raw] += times
            continue
        column.unpadded += times * (formats == (ISO,) and len(day) < 10)
        column.groups.setdefault((formats, time), Counter())[day] += times
    return column


def parse_date(text: str, form: str) -> date | None:
    """Return the date that a text means in a format, or None."""
    if form == EXCEL:
        is_serial = bool(re.fullmatch(r"\d{5}(\.\d+)?", text))
        return date(1899, 12, 30) + timedelta(days=int(text[:5])) if is_serial else None
    try:
        return datetime.strptime(text, form).date()
    except ValueError:
        return None


def find_orders(columns: list[DateColumn]) -> dict[tuple[str, ...], str]:
    """Return the format that dates of some shape have, where a day above 12 in any column decides it."""
    votes: dict[tuple[str, ...], Counter[str]] = {}
    for column in columns:
        for (formats, _), counts in column.groups.items():
            valid = _valid(formats, counts)
            if len(formats) > 1 and len(set(valid.values())) > 1:
                votes.setdefault(formats, Counter()).update(valid)
    best = {
        formats: [one for one in formats if counts[one] == max(counts.values())] for formats, counts in votes.items()
    }
    return {formats: forms[0] for formats, forms in best.items() if len(forms) == 1}


def find_dates(
    file: str, columns: dict[str, DateColumn], orders: dict[tuple[str, ...], str], today: date, found: Findings
) -> dict[str, tuple[str, ...]]:
    """Return the formats of each column of a file, and add those of the file to `found`.

    Parameters
    ----------
    columns : dict of DateColumn
        From `read_dates`.
    orders : dict
        From `find_orders`, over all files.
    today : date
        Dates after tomorrow are unlikely.
    """
    used: Counter[str] = Counter()
    alternatives: list[str] = []
    zoned: list[str] = []
    for column, dates in columns.items():
        for (formats, time), counts in dates.groups.items():
            if counts.total() < SOME * dates.rows:
                continue
            form = _choose(file, column, formats, counts, orders, today, alternatives, found)
            used[form if form == EXCEL else form + time] += counts.total()
        if dates.zoned:
            times = f"{counted(dates.zoned, 'time')} with a time zone, such as {shown(dates.zone)}"
            found.questions.append(f"{file}: {column} has {times}. Which time zone's days count? Write it as local.")
            zoned.append(f"{times}, in {column}")
    if not used:
        found.silent.update(("dates", "time_zone"))
        return {}
    if zoned:
        utc, other = (
            {"written": "UTC", "local": "UTC"},
            "local: America/Lima, or the time zone whose days count for you",
        )
        found.add("time_zone", utc, "; ".join(zoned), certain=False, alternative=other)
    forms = tuple(form for form, _ in used.most_common())
    if forms != (ISO,) or any(dates.unpadded for dates in columns.values()):
        evidence = ", ".join(
            f"{counted(times, 'date')} {'as a number of days' if form == EXCEL else f'of the form {form}'}"
            for form, times in used.most_common()
        )
        found.add(
            "dates",
            forms[0] if len(forms) == 1 else list(forms),
            f"{evidence} in {', '.join(columns)}",
            not alternatives,
            "; ".join(alternatives),
        )
    return dict.fromkeys(columns, forms)


def _valid(formats: tuple[str, ...], counts: Counter[str]) -> dict[str, int]:
    return {form: sum(times for text, times in counts.items() if parse_date(text, form)) for form in formats}


def _choose(
    file: str,
    column: str,
    formats: tuple[str, ...],
    counts: Counter[str],
    orders: dict[tuple[str, ...], str],
    today: date,
    alternatives: list[str],
    found: Findings,
) -> str:
    """Return the format of dates of one shape; if the values allow several, ask."""
    valid = _valid(formats, counts)
    most = max(valid.values())
    possible = [form for form in formats if valid[form] == most]
    if most < (1 - SOME) * counts.total():
        found.questions.append(
            f"{file}: {column} has {counted(counts.total() - most, 'date')} that are not of the form {possible[0]}. "
            f"Are days and months mixed, as in {' and '.join(formats)}?"
        )
    if len(possible) == 1:
        return possible[0]
    if orders.get(formats) in possible:
        return orders[formats]
    dates = {form: {day for text in counts if (day := parse_date(text, form))} for form in possible}
    best, reason = _likeliest(possible, dates, today)
    others = " or ".join(form for form in possible if form != best)
    alternatives.append(f"{column} is {others}")
    example = next(iter(counts))
    found.questions.append(
        f"{file}: {column}: is {example} of the form {best} or {others}? No value decides it; {reason}."
    )
    return best


def _likeliest(possible: list[str], dates: dict[str, set[date]], today: date) -> tuple[str, str]:
    late = today + timedelta(days=1)
    future = {form: sum(day > late for day in dates[form]) for form in possible}
    past = [form for form in possible if not future[form]]
    if past and len(past) < len(possible):
        wrong = next(form for form in possible if future[form])
        return past[0], f"as {wrong}, {future[wrong]:,} dates would be in the future"
    span = {form: (max(dates[form]) - min(dates[form])).days + 1 for form in possible}
    density = {form: len(dates[form]) / span[form] for form in possible}
    best = max(possible, key=lambda form: density[form])
    second = max(density[form] for form in possible if form != best)
    if density[best] >= 2 * second:
        return best, f"as {best}, the dates are within {span[best]:,} days without long gaps"
    return possible[0], f"{possible[0]} is the more common form"


def _time_format(found: re.Match[str]) -> str:
    hours = "%I" if found[6] else "%H"
    parts = [found[1], f"{hours}:%M", ":%S" if found[4] else ""]
    parts.append(f"{found[5][0]}%f" if found[5] else "")
    if found[6]:
        parts.append(" %p" if found[6].startswith(" ") else "%p")
    if zone := found[7]:
        blank = " " if zone.startswith(" ") else ""
        parts.append(blank + (zone.strip() if zone.strip() in ("Z", "UTC") else "%z"))
    return "".join(parts)


@lru_cache(maxsize=4096)
def _formats_of(shape: str) -> tuple[str, ...]:
    return next((formats for pattern, formats in SHAPES.items() if re.fullmatch(pattern, shape)), ())


def date_columns(file: str, table: Table, strip: tuple[str, ...]) -> dict[str, DateColumn]:
    """Return the date columns of a file."""
    return {
        column: read_dates(values, strip)
        for column, values in table.values.items()
        if FILES[file][column].type == "date"
    }
