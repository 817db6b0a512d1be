"""Read CSVs by the contract: keep good rows, typed; set bad rows aside with line, column, reason and raw text."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from churn.base.command import UserError
from churn.base.files import part_path, write_whole
from churn.data.checks import Check, list_checks
from churn.data.contract import FILES, PAYMENT_DAY, check_header
from churn.data.duplicates import DUPLICATE, Rewrite, keep_good_rows, must_be_unique, reject_duplicates
from churn.data.payment_days import Days, oldest_plausible
from churn.data.reader import Reject, SplitRead, SplitTask, read_split
from churn.data.splits import cut_file
from churn.engines import Engine

REJECTS = pa.schema(
    {"file": pa.string(), "line": pa.int64(), "column": pa.string(), "reason": pa.string(), "raw": pa.string()}
)


@dataclass(frozen=True)
class RowCounts:
    """The numbers of a file's rows: `rows_in` is `kept` plus `rejected`; `reasons` counts the rejected rows."""

    rows_in: int
    kept: int
    rejected: int
    reasons: dict[str, int]


@dataclass(frozen=True)
class FileRead:
    """What was read of a file: the numbers of its rows, the bad ones by line, the good payments of each day."""

    counts: RowCounts
    rejects: list[Reject]
    days: Days


def read_files(engine: Engine, files: dict[Path, Path], drop: date, params: dict[str, Any]) -> dict[str, FileRead]:
    """Write the good rows of CSVs as tables: all of the tables, or none.

    Parameters
    ----------
    engine : Engine
        The engine, which reads many splits at a time.
    files : dict of Path
        CSVs, named as in `contract.FILES`, and the table to write for each: a folder of Parquet files, one per split,
        in the order of the CSV.
    drop : date
        The drop; a later date in a file makes a bad row.
    params : dict
        max_reject_share (0 to 1), extra_columns (ignore or refuse) and, for payments, duplicate_payments (keep or
        drop).

    Returns
    -------
    dict of FileRead
        By the name of the CSV.

    Raises
    ------
    UserError
        When a file's header is wrong, a file has no rows or too many bad ones, or a row is unaccounted for.
    """
    with ExitStack() as stack:
        tables = {path: stack.enter_context(write_whole(table)) for path, table in files.items()}
        tasks = {path: plan_reading(path, table, drop, params) for path, table in tables.items()}
        done = iter(engine.map(read_split, list(chain(*tasks.values()))))
        reads = {path: list(islice(done, len(tasks[path]))) for path in files}
        rewrites: list[Rewrite] = []
        for path, table in tables.items():
            check_reads(path, reads[path])
            reject_strays(engine, tasks[path], reads[path])
            if tasks[path] and must_be_unique(path.name, params):
                rewrites += reject_duplicates(engine, table, tasks[path], reads[path])
        engine.map(keep_good_rows, rewrites)
        return {path.name: count_rows(path, reads[path], params["max_reject_share"]) for path in files}


def plan_reading(path: Path, table: Path, drop: date, params: dict[str, Any]) -> list[SplitTask]:
    """Check a CSV's header, and return the tasks that read its rows into a new table."""
    header = check_header(path, path.name)
    report_extra_columns(path, header, params["extra_columns"])
    checks, unique = list_checks(path.name, drop), must_be_unique(path.name, params)
    table.mkdir()
    parts = table.absolute()
    return [SplitTask(split, header, checks, part_path(parts, split.number), unique) for split in cut_file(path)]


def reject_strays(engine: Engine, tasks: list[SplitTask], reads: list[SplitRead]) -> None:
    """Read the splits again in which payments are dated before the oldest plausible day; `tasks` and `reads` change."""
    days = count_days(reads)
    if not days:
        return
    oldest = oldest_plausible(days)
    strays = Check(
        PAYMENT_DAY, f"is long before all other payments (from {oldest})", f"\"{PAYMENT_DAY}\" < DATE '{oldest}'"
    )
    places = [place for place, read in enumerate(reads) if min(read.days, default=oldest) < oldest]
    again = [replace(tasks[place], checks=[*tasks[place].checks, strays]) for place in places]
    for place, task, read in zip(places, again, engine.map(read_split, again), strict=True):
        tasks[place], reads[place] = task, read


def count_days(reads: list[SplitRead]) -> Days:
    """Return how many good payments each day has."""
    total: Counter[date] = Counter()
    for read in reads:
        total.update(read.days)
    return dict(total)


def count_rows(path: Path, reads: list[SplitRead], max_reject_share: float) -> FileRead:
    """Count a CSV's rows and list the bad ones by line; raise `UserError` if there are too many."""
    rejects = [
        replace(reject, line=before + reject.line)
        for before, read in _after_lines(reads)
        for reject in sorted(read.rejects, key=lambda reject: reject.line)
    ]
    reasons = dict(Counter(reject.problem for reject in rejects))
    counts = RowCounts(sum(read.rows for read in reads), sum(read.kept for read in reads), len(rejects), reasons)
    check_reject_share(path, counts, rejects, max_reject_share)
    print(f"{path.name}: {counts.rows_in} rows in = {counts.kept} kept + {counts.rejected} rejected")
    return FileRead(counts, rejects, count_days(reads))


def _after_lines(reads: list[SplitRead]) -> Iterator[tuple[int, SplitRead]]:
    """Yield each split of a file with the number of lines before it, the header included."""
    return zip(accumulate((read.lines for read in reads), initial=1), reads, strict=False)


def report_extra_columns(path: Path, header: list[str], extra_columns: str) -> None:
    """Print which columns are not in the contract; raise `UserError` if `extra_columns` is `refuse`."""
    known = FILES[path.name]
    if extra := ", ".join(column for column in header if column not in known):
        if extra_columns == "refuse":
            raise UserError(
                f"{path}, line 1: column {extra} is not in the contract ({', '.join(known)}). Remove it from the "
                "file, or set extra_columns to ignore in params.yaml."
            )
        print(f"{path.name}: ignoring unknown columns: {extra}")


def check_reads(path: Path, reads: list[SplitRead]) -> None:
    """Raise `UserError` if a split could not be read, or a row was neither kept nor rejected."""
    for before, read in _after_lines(reads):
        if read.unreadable:
            raise UserError(
                f"{path}, after line {before}: cannot be read as CSV: {read.unreadable} Save it again as CSV in UTF-8, "
                "with commas between fields and the same line ending throughout."
            )
        if read.is_broken:
            where = ""
            if read.broken_line:
                broken = before + read.broken_line
                with path.open(encoding="utf-8", errors="replace") as file:
                    text = next((text for line, text in enumerate(file, start=1) if line == broken), "")
                where = f" (see line {broken}: {text.rstrip()[:120]})"
            raise UserError(
                f"{path}, after line {before}: the numbers of lines and records differ{where}. A quoted field "
                "contains a line break, or a quote is never closed: fix that line."
            )


def check_reject_share(path: Path, counts: RowCounts, rejects: list[Reject], max_reject_share: float) -> None:
    """Raise `UserError` if there are no rows or, with examples, if too many rows are bad."""
    if counts.rows_in == 0:
        raise UserError(f"{path} has a header but no rows.")
    bad = counts.rejected - counts.reasons.get(DUPLICATE, 0)
    if bad > max_reject_share * counts.rows_in:
        first = {reject.problem: reject for reject in reversed(rejects)}
        most_common = sorted(counts.reasons, key=lambda problem: -counts.reasons[problem])[:5]
        examples = "\n".join(
            f"  line {first[problem].line}: {first[problem].column or 'the line'} {first[problem].reason} "
            f"({counts.reasons[problem]} rows): {first[problem].raw[:120]}"
            for problem in most_common
        )
        raise UserError(
            f"{path}: {bad} of {counts.rows_in} rows are bad ({bad / counts.rows_in:.1%}; max_reject_share allows "
            f"{max_reject_share:.1%}). For example:\n{examples}\n"
            "Fix the file, or raise max_reject_share in params.yaml."
        )


def write_rejects(found: dict[str, FileRead], target: Path) -> None:
    """Write the bad rows of each file: file, line (of the file, from 1), column, reason, raw line."""
    rows = [{"file": name} | asdict(reject) for name, read in found.items() for reject in read.rejects]
    with write_whole(target) as path:
        pq.write_table(pa.Table.from_pylist(rows, REJECTS), path, compression="zstd")


def describe_counts(found: dict[str, FileRead]) -> dict[str, Any]:
    """Return the numbers of each file's rows, for the metrics."""
    return {name: asdict(read.counts) for name, read in found.items()}
