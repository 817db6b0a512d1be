"""Read a CSV by its contract: good rows typed, bad rows aside with line, column, reason and raw text."""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from churn.command import UserError
from churn.contract import FILES, check_header
from churn.csv_lines import find_lines
from churn.csv_values import DUPLICATE, Fault, checked_rows, faults_of
from churn.files import write_json, write_whole

REJECTS = pa.schema(
    {"file": pa.string(), "line": pa.int64(), "column": pa.string(), "reason": pa.string(), "raw": pa.string()}
)
PARQUET = "(FORMAT parquet, COMPRESSION zstd)"
SHAPES = {
    "MISSING COLUMNS": "has too few fields",
    "TOO MANY COLUMNS": "has too many fields",
    "UNQUOTED VALUE": "has a quote that is not closed, or text after it",
    "LINE SIZE OVER MAXIMUM": "is longer than 2 MB",
    "INVALID ENCODING": "is not UTF-8",
}


@dataclass(frozen=True)
class Account:
    """What became of a file's rows: `rows_in` are `kept` plus `rejected`; `reasons` counts the rejected ones."""

    rows_in: int
    kept: int
    rejected: int
    reasons: dict[str, int]


@dataclass(frozen=True)
class Reject:
    """A bad row: its line (of the file, from 1), the column when one is at fault, the reason, and the line's text."""

    line: int
    column: str | None
    reason: str
    raw: str

    @property
    def why(self) -> str:
        """Column and reason in one."""
        return f"{self.column} {self.reason}" if self.column else self.reason


def connect() -> duckdb.DuckDBPyConnection:
    """Open a DuckDB for `read_file`."""
    connection = duckdb.connect()
    # Pushed down to the reader, the filter of good rows would compute every value a second time.
    connection.execute("SET disabled_optimizers = 'filter_pushdown'")
    return connection


def read_file(
    connection: duckdb.DuckDBPyConnection, path: Path, good: Path, drop: date, params: dict
) -> tuple[Account, list[Reject]]:
    """Write the good rows of one CSV to a Parquet file; return what became of the rows, and the bad ones.

    Parameters
    ----------
    path : Path
        One of the files of `contract.FILES`, by name.
    good : Path
        The Parquet file to write: payments in the order of the CSV, users in none.
    drop : date
        No date in the file may be later.
    params : dict
        max_reject_share (0 to 1), extra_columns (ignore or refuse) and, for payments, duplicate_payments (keep or
        drop).

    Returns
    -------
    tuple of (Account, list of Reject)
        The bad rows by rising line.

    Raises
    ------
    UserError
        When the file breaks its header, holds no row, rejects too many rows, or a row is unaccounted for.
    """
    header = check_header(path, path.name)
    tell_extra_columns(path, header, params["extra_columns"])
    drop_duplicates = params.get("duplicate_payments") == "drop"
    faults = faults_of(path.name, drop, drop_duplicates)
    rows = checked_rows(path, header, faults, numbered=drop_duplicates)
    names = ", ".join(f'"{column}"' for column in FILES[path.name])
    order = "ORDER BY record" if drop_duplicates else ""
    try:
        write_parquet(connection, f"SELECT {names} FROM ({rows}) WHERE fault = 0 {order}", good)
    except duckdb.InvalidInputException as error:
        raise UserError(
            f"{path} cannot be read as CSV: {str(error).splitlines()[0]} Save it again as CSV in UTF-8, with commas "
            "between the fields and one kind of line ends."
        ) from None
    kept = pq.read_metadata(good).num_rows
    rejects, rows_in = collect_rejects(connection, path, header, faults, kept)
    if rows_in == 0:
        raise UserError(f"{path} holds a header and no row.")
    account = Account(rows_in, kept, len(rejects), dict(Counter(reject.why for reject in rejects)))
    if rows_in != kept + len(rejects):
        refuse_broken_lines(connection, path, good, account)
    refuse_too_many(path, account, rejects, params["max_reject_share"])
    connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
    print(f"{path.name}: {rows_in} rows in = {kept} kept + {len(rejects)} rejected")
    return account, rejects


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


def collect_rejects(
    connection: duckdb.DuckDBPyConnection, path: Path, header: list[str], faults: list[Fault], kept: int
) -> tuple[list[Reject], int]:
    """Return the bad rows, each with its line in the file, and the number of rows in the file.

    The reader numbers a misshapen row by its line; a well-shaped row's line is found by its place among the lines that
    are neither empty nor misshapen. The file is read again only when there are such rows.
    """
    first_error = "first(error_type::VARCHAR ORDER BY byte_position)"
    query = f"SELECT line, {first_error} FROM reject_errors GROUP BY line ORDER BY line"
    shapes = dict(connection.execute(query).fetchall())
    lines, bad = find_lines(path, [], list(shapes)), []
    if lines.rows != kept + len(shapes):
        rows = checked_rows(path, header, faults, numbered=True)
        bad = connection.execute(f"SELECT record, fault FROM ({rows}) WHERE fault > 0 ORDER BY record").fetchall()
        lines = find_lines(path, [record for record, _ in bad], list(shapes))
    rejects = [Reject(line, None, SHAPES.get(shapes[line], shapes[line].lower()), raw) for line, raw in lines.misshapen]
    for (_, number), (line, raw) in zip(bad, lines.of_records, strict=False):
        fault = faults[number - 1]
        rejects.append(Reject(line, fault.column, fault.reason, raw))
    return sorted(rejects, key=lambda reject: reject.line), lines.rows


def refuse_broken_lines(connection: duckdb.DuckDBPyConnection, path: Path, good: Path, account: Account) -> None:
    """Raise `UserError`: a row runs over its line's end. Before the first such row, rows and lines go in step."""
    texts = ", ".join(f'"{column}"' for column, spec in FILES[path.name].items() if spec.type == "text")
    found = connection.execute(f"""
        SELECT line FROM reject_errors WHERE contains(csv_line, chr(10))
        UNION ALL
        SELECT file_row_number + 2 FROM read_parquet('{_quoted(good)}', file_row_number = true)
        WHERE contains(concat_ws('', {texts or "''"}), chr(10))
        ORDER BY 1
    """).fetchone()
    where = ""
    if found:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = next((text for number, text in enumerate(file, start=1) if number == found[0]), "")
        where = f" (see line {found[0]}: {text.rstrip()[:120]})"
    raise UserError(
        f"{path}: of {account.rows_in} rows {account.kept} were kept and {account.rejected} rejected, which does not "
        f"add up{where}. A quoted field runs over the end of its line, or a quote is never closed: mend that line."
    )


def refuse_too_many(path: Path, account: Account, rejects: list[Reject], max_reject_share: float) -> None:
    """Raise `UserError`, with examples, when too many rows are bad."""
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


def write_parquet(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    """Write a query's rows, in the query's order, whole or not at all."""
    with write_whole(target) as path:
        connection.execute(f"COPY ({query}) TO '{_quoted(path)}' {PARQUET}")


def write_rejects(rejects: dict[str, list[Reject]], target: Path) -> None:
    """Write the bad rows of each file: file, line (of the file, from 1), column, reason, raw line."""
    rows = [{"file": name} | asdict(reject) for name, many in rejects.items() for reject in many]
    with write_whole(target) as path:
        pq.write_table(pa.Table.from_pylist(rows, REJECTS), path, compression="zstd")


def write_accounts(accounts: dict[str, Account], target: Path) -> None:
    """Write what became of the rows of each file."""
    write_json({name: asdict(account) for name, account in accounts.items()}, target)


def _quoted(text: object) -> str:
    return str(text).replace("'", "''")
