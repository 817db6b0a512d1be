"""Read a CSV by its contract: good rows typed, bad rows aside with line, column, reason and raw text."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import accumulate, chain, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from churn.base.command import UserError
from churn.base.files import part_path, write_json, write_whole
from churn.data.checks import faults_of
from churn.data.contract import FILES, check_header
from churn.data.duplicates import DUPLICATE, keep_good_rows, must_be_unique, reject_copies
from churn.data.reader import Reject, SplitRead, SplitTask, read_split
from churn.data.splits import cut_file
from churn.engines import Engine

REJECTS = pa.schema(
    {"file": pa.string(), "line": pa.int64(), "column": pa.string(), "reason": pa.string(), "raw": pa.string()}
)


@dataclass(frozen=True)
class Account:
    """What became of a file's rows: `rows_in` are `kept` plus `rejected`; `reasons` counts the rejected ones."""

    rows_in: int
    kept: int
    rejected: int
    reasons: dict[str, int]


def read_files(
    engine: Engine, files: dict[Path, Path], drop: date, params: dict
) -> dict[str, tuple[Account, list[Reject]]]:
    """Write the good rows of CSVs as tables, whole or not at all.

    Parameters
    ----------
    engine : Engine
        What reads the files' splits, many at a time.
    files : dict of Path
        CSVs, by name some of `contract.FILES`, and for each the table to write: a folder of Parquet files, one a split,
        in the order of the CSV.
    drop : date
        No date in a file may be later.
    params : dict
        max_reject_share (0 to 1), extra_columns (ignore or refuse) and, for payments, duplicate_payments (keep or
        drop).

    Returns
    -------
    dict of tuple of (Account, list of Reject)
        By the CSV's name: what became of its rows, and the bad ones by rising line.

    Raises
    ------
    UserError
        When a file breaks its header, holds no row, rejects too many rows, or a row is unaccounted for.
    """
    with ExitStack() as stack:
        tables = {path: stack.enter_context(write_whole(table)) for path, table in files.items()}
        tasks = {path: plan_reading(path, table, drop, params) for path, table in tables.items()}
        done = iter(engine.map(read_split, list(chain(*tasks.values()))))
        reads = {path: list(islice(done, len(tasks[path]))) for path in files}
        rewrites = []
        for path, table in tables.items():
            refuse_unread(path, reads[path])
            if tasks[path] and must_be_unique(path.name, params):
                rewrites += reject_copies(engine, table, tasks[path], reads[path])
        engine.map(keep_good_rows, rewrites)
        return {path.name: account_for(path, reads[path], params["max_reject_share"]) for path in files}


def plan_reading(path: Path, table: Path, drop: date, params: dict) -> list[SplitTask]:
    """Check a CSV's header, and return what is to be done to read its rows into a new table."""
    header = check_header(path, path.name)
    tell_extra_columns(path, header, params["extra_columns"])
    faults, unique = faults_of(path.name, drop), must_be_unique(path.name, params)
    table.mkdir()
    parts = table.absolute()
    return [SplitTask(split, header, faults, part_path(parts, split.number), unique) for split in cut_file(path)]


def account_for(path: Path, reads: list[SplitRead], max_reject_share: float) -> tuple[Account, list[Reject]]:
    """Return what became of a CSV's rows, and the bad ones by rising line; raise `UserError` when it will not do."""
    rejects = [
        replace(reject, line=before + reject.line)
        for before, read in _after_lines(reads)
        for reject in sorted(read.rejects, key=lambda reject: reject.line)
    ]
    reasons = dict(Counter(reject.why for reject in rejects))
    account = Account(sum(read.rows for read in reads), sum(read.kept for read in reads), len(rejects), reasons)
    refuse_bad(path, account, rejects, max_reject_share)
    print(f"{path.name}: {account.rows_in} rows in = {account.kept} kept + {account.rejected} rejected")
    return account, rejects


def _after_lines(reads: list[SplitRead]) -> Iterator[tuple[int, SplitRead]]:
    """Yield each split of a file with the number of lines before it, of which the header is one."""
    return zip(accumulate((read.lines for read in reads), initial=1), reads, strict=False)


def tell_extra_columns(path: Path, header: list[str], extra_columns: str) -> None:
    """Tell of columns that the contract does not know; raise `UserError` when they are to be refused."""
    known = FILES[path.name]
    if extra := ", ".join(column for column in header if column not in known):
        if extra_columns == "refuse":
            raise UserError(
                f"{path}, line 1: column {extra} is not in the contract ({', '.join(known)}). Take it out of the "
                "file, or set extra_columns to ignore in params.yaml."
            )
        print(f"{path.name}: columns that no one asked for are ignored: {extra}")


def refuse_unread(path: Path, reads: list[SplitRead]) -> None:
    """Raise `UserError` when a split could not be read, or not all its rows were kept or rejected."""
    for before, read in _after_lines(reads):
        if read.unreadable:
            raise UserError(
                f"{path}, after line {before}: cannot be read as CSV: {read.unreadable} Save it again as CSV in UTF-8, "
                "with commas between the fields and one kind of line ends."
            )
        if read.is_broken:
            where = ""
            if read.broken_line:
                broken = before + read.broken_line
                with path.open(encoding="utf-8", errors="replace") as file:
                    text = next((text for line, text in enumerate(file, start=1) if line == broken), "")
                where = f" (see line {broken}: {text.rstrip()[:120]})"
            raise UserError(
                f"{path}, after line {before}: lines and records do not add up{where}. A quoted field runs over the "
                "end of its line, or a quote is never closed: mend that line."
            )


def refuse_bad(path: Path, account: Account, rejects: list[Reject], max_reject_share: float) -> None:
    """Raise `UserError` when there is no row or, with examples, when too many rows are bad."""
    if account.rows_in == 0:
        raise UserError(f"{path} holds a header and no row.")
    bad = account.rejected - account.reasons.get(DUPLICATE, 0)
    if bad > max_reject_share * account.rows_in:
        examples = {reject.why: reject for reject in reversed(rejects)}
        commonest = sorted(account.reasons, key=account.reasons.get, reverse=True)[:5]
        told = "\n".join(
            f"  line {examples[why].line}: {examples[why].column or 'the line'} {examples[why].reason} "
            f"({account.reasons[why]} rows): {examples[why].raw[:120]}"
            for why in commonest
        )
        raise UserError(
            f"{path}: {bad} of {account.rows_in} rows are bad ({bad / account.rows_in:.1%}; max_reject_share allows "
            f"{max_reject_share:.1%}). For example:\n{told}\n"
            "Mend the file, or raise max_reject_share in params.yaml."
        )


def write_rejects(rejects: dict[str, list[Reject]], target: Path) -> None:
    """Write the bad rows of each file: file, line (of the file, from 1), column, reason, raw line."""
    rows = [{"file": name} | asdict(reject) for name, many in rejects.items() for reject in many]
    with write_whole(target) as path:
        pq.write_table(pa.Table.from_pylist(rows, REJECTS), path, compression="zstd")


def write_accounts(accounts: dict[str, Account], target: Path) -> None:
    """Write what became of the rows of each file."""
    write_json({name: asdict(account) for name, account in accounts.items()}, target)
