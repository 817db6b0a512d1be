"""Read CSVs by the contract: keep good rows, typed; set bad rows aside with line, column, reason and raw text."""

from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from churn.base.command import UserError
from churn.base.files import part_path, scratch_folder, write_whole
from churn.base.printable import printable
from churn.data.checks import CLIPPED, NO_VALUE, NULLED, REJECTED, SKIPPED, Check, list_checks
from churn.data.contract import FILES, PAYMENT_DAY
from churn.data.duplicates import Rewrite, keep_good_rows, must_be_unique, reject_duplicates
from churn.data.header import Header, read_header
from churn.data.mapping import Dialect, Mapping
from churn.data.payment_days import Days, oldest_plausible
from churn.data.reader import ROWS, SplitRead, SplitTask, read_split
from churn.data.records import cut_file
from churn.data.refusals import check_reads, check_shares, check_thousands, count_outcomes, list_found
from churn.data.thousands import may_be_thousands
from churn.data.transcode import is_utf8, transcode
from churn.engines import Engine

REJECTS = pa.schema([pa.field("file", pa.string()), *ROWS])
# A split lists at most this many bad rows at first: a wrong file has only bad ones.
MOST_LISTED = 10_000
# Of unknown columns, a message names so many, and so much of each name.
MAX_LISTED, MAX_NAME = 10, 80


@dataclass(frozen=True)
class RowCounts:
    """The numbers of a file's rows and values.

    Attributes
    ----------
    rows_in, kept, rejected : int
        `rows_in` is `kept` plus `rejected`.
    reasons : dict of int
        How many rows were rejected for each reason.
    skipped : int
        Lines that are no rows: of empty fields, and those that data/mapping.yaml names.
    nulled : dict of int
        How many values were bad, and are null, for each reason.
    no_value : dict of int
        How many values are null because their text means that there is none, such as 1900-01-01.
    clipped : dict of int
        How many dates of the days after the drop were set to its date.
    refunds : int
        How many of the kept rows are refunds.
    """

    rows_in: int
    kept: int
    rejected: int
    reasons: dict[str, int]
    skipped: int
    nulled: dict[str, int]
    no_value: dict[str, int]
    clipped: dict[str, int]
    refunds: int


@dataclass(frozen=True)
class FileRead:
    """What was read of a file: the numbers of its rows, the bad ones by line, the good payments of each day."""

    counts: RowCounts
    found: pa.Table
    days: Days


def read_files(
    engine: Engine, files: dict[Path, Path], drop: date | None, params: dict[str, Any], mapping: Mapping
) -> dict[str, FileRead]:
    """Write the good rows of CSVs as tables: all of the tables, or none.

    Parameters
    ----------
    engine : Engine
        The engine, which reads many splits at a time.
    files : dict of Path
        CSVs, named as in `contract.FILES`, and the table to write for each: a folder of Parquet files, one per split,
        in the order of the CSV.
    drop : date or None
        The drop; a later date in a file makes a bad row or value. None if it is not known yet.
    params : dict
        max_reject_share (0 to 1), extra_columns (ignore or refuse) and, for payments, duplicate_payments (keep or
        drop).
    mapping : Mapping
        How the files are written.

    Returns
    -------
    dict of FileRead
        By the name of the CSV.

    Raises
    ------
    UserError
        When a file's header is wrong, a file has no rows or too many bad ones, amounts can be read in two ways, or a
        row is unaccounted for.
    """
    with ExitStack() as stack:
        tables = {path: stack.enter_context(write_whole(table)) for path, table in files.items()}
        scratch = stack.enter_context(scratch_folder(next(iter(files.values())).with_name("transcoded")))
        tasks = {
            path: plan_reading(path, table, scratch, drop, params, mapping.dialects[path.name])
            for path, table in tables.items()
        }
        done = iter(engine.map(read_split, list(chain(*tasks.values()))))
        reads = {path: list(islice(done, len(tasks[path]))) for path in files}
        rewrites: list[Rewrite] = []
        for path, table in tables.items():
            check_reads(path, reads[path])
            check_thousands(path, tasks[path], reads[path])
            reject_strays(engine, tasks[path], reads[path])
            check_shares(path, reads[path], params["max_reject_share"])
            list_all(engine, tasks[path], reads[path])
            if tasks[path] and must_be_unique(path.name, params):
                rewrites += reject_duplicates(engine, table, tasks[path], reads[path], params["max_reject_share"])
        engine.map(keep_good_rows, rewrites)
        return {path.name: count_rows(path, reads[path], params["max_reject_share"]) for path in files}


def plan_reading(
    path: Path, table: Path, scratch: Path, drop: date | None, params: dict[str, Any], dialect: Dialect
) -> list[SplitTask]:
    """Check a CSV's header, and return the tasks that read its rows into a new table."""
    name, source = path.name, path
    if not is_utf8(dialect.encoding):
        source = scratch.absolute() / name
        transcode(path, dialect.encoding, source)
    header = read_header(source, path, dialect)
    report_extra_columns(path, header, params["extra_columns"])
    checks, unique = list_checks(name, drop, dialect), must_be_unique(name, params)
    ambiguous = may_be_thousands(name, header.columns, header.sample, dialect)
    table.mkdir()
    parts = table.absolute()
    return [
        SplitTask(
            *(split, name, header.columns, header.lines, checks, drop, dialect, ambiguous),
            *(part_path(parts, split.number), unique, MOST_LISTED),
        )
        for split in cut_file(source, header.begin, len(header.columns), dialect.delimiter, dialect.quote)
    ]


def reject_strays(engine: Engine, tasks: list[SplitTask], reads: list[SplitRead]) -> None:
    """Read the splits again in which payments are dated before the oldest plausible day; `tasks` and `reads` change."""
    days = count_days(reads)
    if not days:
        return
    oldest = oldest_plausible(days)
    strays = Check(
        PAYMENT_DAY, f"is long before all other payments (from {oldest})", f"\"{PAYMENT_DAY}\" < DATE '{oldest}'"
    )
    again = [place for place, read in enumerate(reads) if min(read.days, default=oldest) < oldest]
    for place in again:
        tasks[place] = replace(tasks[place], checks=[*tasks[place].checks, strays])
    read_again(engine, again, tasks, reads)


def list_all(engine: Engine, tasks: list[SplitTask], reads: list[SplitRead]) -> None:
    """Read the splits again whose bad rows are not all listed; `tasks` and `reads` change."""
    again = [place for place, read in enumerate(reads) if not read.is_complete]
    for place in again:
        tasks[place] = replace(tasks[place], most=None)
    read_again(engine, again, tasks, reads)


def read_again(engine: Engine, places: list[int], tasks: list[SplitTask], reads: list[SplitRead]) -> None:
    """Read some splits again."""
    for place, read in zip(places, engine.map(read_split, [tasks[place] for place in places]), strict=True):
        reads[place] = read


def count_days(reads: list[SplitRead]) -> Days:
    """Return how many good payments each day has."""
    total: Counter[date] = Counter()
    for read in reads:
        total.update(read.days)
    return dict(total)


def count_rows(path: Path, reads: list[SplitRead], max_reject_share: float) -> FileRead:
    """Count a CSV's rows and list the bad ones by line; raise `UserError` if there are too many."""
    check_shares(path, reads, max_reject_share)
    rejected, skipped = count_outcomes(reads, REJECTED), count_outcomes(reads, SKIPPED)
    counts = RowCounts(
        sum(read.rows for read in reads),
        sum(read.kept for read in reads),
        sum(rejected.values()),
        rejected,
        sum(skipped.values()),
        count_outcomes(reads, NULLED),
        count_outcomes(reads, NO_VALUE),
        count_outcomes(reads, CLIPPED),
        sum(read.refunds for read in reads),
    )
    changed = {"values set to null": counts.nulled, "dates clipped": counts.clipped}
    also = "".join(f", {sum(values.values())} {what}" for what, values in changed.items() if values)
    print(f"{path.name}: {counts.rows_in} rows in = {counts.kept} kept + {counts.rejected} rejected{also}")
    return FileRead(counts, list_found(reads), count_days(reads))


def report_extra_columns(path: Path, header: Header, extra_columns: str) -> None:
    """Print which columns are not in the contract; raise `UserError` if `extra_columns` is `refuse`."""
    if header.extra:
        # As many as a person reads, each on this line, whatever the sender wrote.
        more = f" and {len(header.extra) - MAX_LISTED} more" if len(header.extra) > MAX_LISTED else ""
        extra = ", ".join(printable(one)[:MAX_NAME] for one in header.extra[:MAX_LISTED]) + more
        if extra_columns == "refuse":
            raise UserError(
                f"{path}, line {header.lines}: column {extra} is not in the contract ({', '.join(FILES[path.name])}). "
                "Remove it from the file, or set extra_columns to ignore in params.yaml."
            )
        print(f"{path.name}: ignoring unknown columns: {extra}")


def write_rejects(found: dict[str, FileRead], target: Path) -> None:
    """Write the bad rows and values of each file: see REJECTS; lines are those of the file, from 1."""
    tables = [
        read.found.add_column(0, "file", pa.array([name] * len(read.found), pa.string()))
        for name, read in found.items()
    ]
    with write_whole(target) as path:
        pq.write_table(pa.concat_tables(tables).cast(REJECTS), path, compression="zstd")


def describe_counts(found: dict[str, FileRead]) -> dict[str, Any]:
    """Return the numbers of each file's rows, for the metrics."""
    return {name: asdict(read.counts) for name, read in found.items()}
