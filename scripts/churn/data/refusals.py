"""Refuse a CSV whose rows cannot be trusted: unreadable, ambiguous, or too many of them bad."""

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.compute

from churn.base.command import UserError
from churn.base.printable import printable
from churn.data.checks import NULLED, REJECTED
from churn.data.duplicates import COPIES
from churn.data.header import CHECK
from churn.data.mapping import MAPPING
from churn.data.reader import ROWS, SplitRead, SplitTask


def check_reads(path: Path, reads: list[SplitRead]) -> None:
    """Raise `UserError` if a split could not be read, or a row was neither kept nor rejected."""
    for before, read in after_lines(reads):
        if read.unreadable:
            raise UserError(
                f"{path}, after line {before}: cannot be read as CSV. Save it again as CSV in UTF-8, with commas "
                f"between fields. {CHECK}\n{read.unreadable}"
            )
        if read.is_broken:
            raise UserError(
                f"{path}, between lines {before + 1} and {before + read.lines}: the numbers of lines and records "
                f"differ. A quote is never closed: fix that line. {CHECK}"
            )


def check_thousands(path: Path, tasks: list[SplitTask], reads: list[SplitRead]) -> None:
    """Raise `UserError` if the numbers of a column can be read in two ways."""
    rows = sum(read.rows for read in reads)
    for column, is_open in (tasks[0].ambiguous if tasks else {}).items():
        # Three decimals that cannot be thousands, such as 0.125 or 1234.567, show that the others are decimals too.
        grouped, three_decimals, others = map(sum, zip(*(read.thousands[column] for read in reads), strict=True))
        are_all = is_open and 100 * others <= grouped
        if grouped and 10 * three_decimals < grouped and (are_all or 100 * grouped >= rows):
            point = tasks[0].dialect.decimal
            raise UserError(
                f"{path}: {column} can be read in two ways: {grouped} numbers are like 1{point}500, which is 1500 or "
                f"1{point}5. Say which in {MAPPING}: thousands: {point!r} (and decimal: "
                f"{'.' if point == ',' else ','!r}) or thousands: ''. {CHECK}"
            )


def check_shares(path: Path, reads: list[SplitRead], most: float) -> None:
    """Raise `UserError` if there are no rows or, with examples, if too many rows or values of a column are bad."""
    rows = sum(read.rows for read in reads)
    if not rows:
        raise UserError(f"{path} has a header but no rows.")
    rejected, nulled = count_outcomes(reads, REJECTED), count_outcomes(reads, NULLED)
    reasons = {problem: count for problem, count in rejected.items() if problem not in COPIES}
    bad = sum(reasons.values())
    if bad > most * rows:
        raise UserError(
            f"{path}: {bad} of {rows} rows are bad ({bad / rows:.1%}; max_reject_share allows {most:.1%}), mostly "
            f"because {_with_subject(next(iter(reasons)))}. For example:\n{give_examples(reads, reasons)}\n"
            f"Fix the file, or raise max_reject_share in params.yaml. {CHECK}"
        )
    of_columns: Counter[str] = Counter()
    for problem, count in nulled.items():
        of_columns[problem.split(" ")[0]] += count
    for column, count in of_columns.items():
        if count > most * rows:
            own = {problem: number for problem, number in nulled.items() if problem.startswith(f"{column} ")}
            raise UserError(
                f"{path}: {count} of {rows} values of {column} are bad ({count / rows:.1%}; max_reject_share allows "
                f"{most:.1%}), mostly because {next(iter(own))}. For example:\n{give_examples(reads, own)}\n"
                f"Fix the file, or raise max_reject_share in params.yaml. {CHECK}"
            )


def _with_subject(problem: str) -> str:
    return problem if problem[0].isupper() else f"a line {problem}"


def give_examples(reads: list[SplitRead], problems: dict[str, int]) -> str:
    """Return the five most frequent problems, each with the first line that has it."""
    found = list_found(reads).to_pandas()
    found["problem"] = (found["column"].fillna("") + " " + found["reason"]).str.strip()
    first = found.drop_duplicates("problem").set_index("problem")
    return "\n".join(
        f"  line {first.line[problem]}: {problem if first.column[problem] else f'the line {problem}'} "
        f"({problems[problem]} rows): {printable(first.raw[problem][:120])}"
        for problem in list(problems)[:5]
        if problem in first.index
    )


def count_outcomes(reads: list[SplitRead], outcome: str) -> dict[str, int]:
    """Return how many rows or values had each problem, the most frequent first."""
    total: Counter[str] = Counter()
    for read in reads:
        total.update(read.outcomes.get(outcome, {}))
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def list_found(reads: list[SplitRead]) -> pa.Table:
    """Return the bad rows and values of a file, by line."""
    parts = []
    for before, read in after_lines(reads):
        lines = pa.compute.add(read.found["line"], before)
        parts.append(read.found.set_column(0, "line", lines))
    return pa.concat_tables(parts) if parts else ROWS.empty_table()


def after_lines(reads: list[SplitRead]) -> Iterator[tuple[int, SplitRead]]:
    """Yield each split of a file with the number of lines before it, the header included."""
    first = reads[0].lines_before if reads else 0
    return zip(accumulate((read.lines for read in reads), initial=first), reads, strict=False)
