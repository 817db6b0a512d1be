"""Find out why a delivery that can be read should not be used: it was cut, or lacks days, rows or users."""

import codecs
import csv
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from churn.data.contract import FILES
from churn.data.header import read_header
from churn.data.mapping import Dialect, Mapping
from churn.data.payment_days import find_silences
from churn.data.transcode import is_utf8
from churn.deliveries.before import Before
from churn.deliveries.check import Delivery
from churn.deliveries.rules import Rules

# If fewer payers than this share are in a user file, its ids are of another kind.
MIN_OVERLAP = 0.05
# Fewer than this share are worth a warning.
USUAL_OVERLAP = 0.7
TAIL_BYTES = 1 << 20


def find_doubts(delivery: Delivery, before: Before | None, rules: Rules) -> list[str]:
    """Return why a delivery should not be used, in a sentence each.

    Parameters
    ----------
    delivery : Delivery
        From `check.read_delivery`.
    before : Before or None
        The drop before it, if there is one.
    rules : Rules
        How to judge it.
    """
    lookback = rules.params["build_features"]["lookback_days"]
    return [
        *_short_history(delivery, lookback),
        *_silences(delivery, lookback),
        *_few_rows(delivery, before, rules.params["ingest"]["min_rows_share"]),
        *_unknown_payers(delivery),
    ]


def _short_history(delivery: Delivery, lookback: int) -> Iterator[str]:
    first, needed = min(delivery.days), delivery.drop - timedelta(days=lookback - 1)
    if first > needed:
        covered = (delivery.drop - first).days + 1
        yield (
            f"PAYMENTS.csv has too little history: its payments begin on {first} and cover {covered} days, but "
            f"build_features.lookback_days in params.yaml needs {lookback}. Each delivery must have all payments from "
            f"{needed} or earlier, not only the new ones"
        )


def _silences(delivery: Delivery, lookback: int) -> Iterator[str]:
    begin = delivery.drop - timedelta(days=lookback - 1)
    for first, last, expected in find_silences(delivery.days):
        if last >= begin:
            yield (
                f"PAYMENTS.csv has no payment from {first} to {last}, where about {expected} are usual: all users "
                "would seem to have stopped paying. Deliver these days too"
            )


def _few_rows(delivery: Delivery, before: Before | None, least: float) -> Iterator[str]:
    for name, rows in (before.rows if before else {}).items():
        now = delivery.files[name].counts.rows_in
        if before and now < least * rows:
            yield (
                f"{name} has {now} rows, and that of the drop before, {before.drop}, has {rows}: less than the share "
                f"of {least:g} that ingest.min_rows_share in params.yaml allows. Deliver the complete file"
            )


def _unknown_payers(delivery: Delivery) -> Iterator[str]:
    for name, known in delivery.known.items():
        if known < MIN_OVERLAP * delivery.payers:
            yield (
                f"{name} has only {known} of the {delivery.payers} users with payments: its user ids are of another "
                "kind, or users are missing. Deliver both files with the same ids"
            )


def warn_of_unknown(delivery: Delivery) -> None:
    """Print which user files lack many of the users with payments; it is not so few that they are refused."""
    for name, known in delivery.known.items():
        if MIN_OVERLAP * delivery.payers <= known < USUAL_OVERLAP * delivery.payers:
            print(
                f"WARNING: {name} has {known} of the {delivery.payers} users with payments "
                f"({known / delivery.payers:.0%}). Are ids written in different ways, such as in upper and lower case?"
            )


def find_cuts(folder: Path, mapping: Mapping) -> list[str]:
    """Return which files end in the middle of a line, in a sentence each.

    It is seen from the last line or from the other files, and found before a file is read: the rows that remain of
    payments would have another date.
    """
    return list(_cut_files(folder, mapping))


def _cut_files(folder: Path, mapping: Mapping) -> Iterator[str]:
    tails = {name: _last_line(folder / name, mapping.dialects[name]) for name in FILES}
    for name, line in tails.items():
        dialect = mapping.dialects[name]
        if not line:
            continue
        fields = _count_fields(line, dialect)
        if fields not in _expected_fields(folder / name, dialect) or not all(tails.values()):
            yield (
                f"{name} ends in the middle of a line: it was cut while it was written or copied. Deliver the complete "
                "file again"
            )


def _last_line(path: Path, dialect: Dialect) -> str:
    """Return what follows the last line end of a file, "" if there is nothing."""
    with path.open("rb") as file:
        size = path.stat().st_size
        # An even number of bytes, for encodings of two bytes.
        file.seek(max(0, size - size % 2 - TAIL_BYTES))
        text = file.read().decode(_of_tail(path, dialect.encoding), errors="replace").replace("\0", "").rstrip("\x1a")
    return text.replace("\r", "\n").rpartition("\n")[2].strip("\ufeff \t")


def _expected_fields(path: Path, dialect: Dialect) -> list[int]:
    """Return the numbers of fields that a row may have."""
    if is_utf8(dialect.encoding):
        return [len(read_header(path, path, dialect).columns)]
    with path.open("rb") as file:
        head = file.read(TAIL_BYTES).decode(dialect.encoding, errors="replace").splitlines()
    header = [line for line in head if line.strip() and not line.casefold().startswith("sep=")][dialect.skip_lines :]
    fields = _count_fields(header[0], dialect) if header else 0
    # A row may end in a delimiter.
    return [fields, fields + 1]


def _of_tail(path: Path, encoding: str) -> str:
    """Return the encoding of the end of a file: its beginning may say the order of the bytes of each character."""
    with path.open("rb") as file:
        begin = file.read(2)
    known = codecs.lookup(encoding).name
    if known in ("utf-16", "utf-32"):
        return f"{known}-{'be' if begin in (codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE[:2]) else 'le'}"
    return encoding


def _count_fields(line: str, dialect: Dialect) -> int:
    try:
        return len(next(csv.reader([line], delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True), []))
    except csv.Error:
        return 0
