"""Read a CSV by its contract: good rows typed, bad rows aside with line, column, reason and raw text."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import duckdb

from churn.command import UserError
from churn.contract import FILES, TYPES, USER, Column, check_header
from churn.files import write_whole

REJECT_COLUMNS = "file VARCHAR, line BIGINT, column_name VARCHAR, reason VARCHAR, raw VARCHAR"
PARQUET = "(FORMAT parquet, COMPRESSION zstd)"


def connect() -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB with an empty table `rejects`."""
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE rejects ({REJECT_COLUMNS})")
    return connection


def read_file(connection: duckdb.DuckDBPyConnection, path: Path, drop: date, max_reject_share: float) -> str:
    """Load one CSV into a table of typed rows and its bad rows into `rejects`.

    Parameters
    ----------
    path : Path
        One of the files of `contract.FILES`, by name.
    drop : date
        No date in the file may be later.
    max_reject_share : float
        Share of the rows, 0 to 1, that may be rejected.

    Returns
    -------
    str
        The table's name: the file's, without its ending.

    Raises
    ------
    UserError
        When the file breaks its header, holds no row, rejects too many rows, or a row is unaccounted for.
    """
    name, table = path.name, path.stem
    columns = FILES[name]
    header = check_header(path, name)
    if extra := [column for column in header if column not in columns]:
        print(f"{name}: columns that no one asked for are ignored: {', '.join(extra)}")
    _load_records(connection, path, header)
    typed = ", ".join(f'{_read_value(column, spec)} AS "{column}"' for column, spec in columns.items())
    connection.execute(f"""
        CREATE TEMP TABLE checked AS
        SELECT record, {typed}, {_first_problem(columns, drop, table != "PAYMENTS")} AS problem
        FROM records
    """)
    names = ", ".join(f'"{column}"' for column in columns)
    connection.execute(f"CREATE TABLE {table} AS SELECT {names} FROM checked WHERE problem IS NULL")
    _collect_rejects(connection, name)
    _check_accounts(connection, path, max_reject_share)
    for leftover in ("lines", "records", "checked", "misshapen", "shaped"):
        connection.execute(f"DROP TABLE {leftover}")
    return table


def write_parquet(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    """Write a query's rows, in the query's order, whole or not at all."""
    with write_whole(target) as path:
        connection.execute(f"COPY ({query}) TO '{_quoted(path)}' {PARQUET}")


def write_rejects(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Write the bad rows: file, line (of the file, from 1), column, reason, raw line."""
    columns = 'file, line, column_name AS "column", reason, raw'
    write_parquet(connection, f"SELECT {columns} FROM rejects ORDER BY ALL", target)


def _load_records(connection: duckdb.DuckDBPyConnection, path: Path, header: Iterable[str]) -> None:
    """Make `lines` (every line of the file as it stands) and `records` (the rows that have the right shape)."""
    types = ", ".join(f"'{_quoted(column)}': 'VARCHAR'" for column in header)
    file = _quoted(path)
    connection.execute(f"""
        CREATE TEMP TABLE lines AS
        SELECT row_number() OVER () AS line, raw
        FROM read_csv('{file}', header = false, auto_detect = false, delim = '\x1f', quote = '', escape = '',
                      columns = {{'raw': 'VARCHAR'}}, ignore_errors = true);
        CREATE TEMP TABLE records AS
        SELECT row_number() OVER () AS record, *
        FROM read_csv('{file}', header = true, auto_detect = false, delim = ',', quote = '"', escape = '"',
                      columns = {{{types}}}, store_rejects = true);
    """)


def _text(column: str) -> str:
    return f"nullif(trim(\"{column}\", ' \t\r'), '')"


def _read_value(column: str, spec: Column) -> str:
    text = _text(column)
    if spec.allowed:
        spellings = {value: value for value in spec.allowed} | spec.aliases
        whens = " ".join(f"WHEN '{spelling.lower()}' THEN '{value}'" for spelling, value in spellings.items())
        return f"CASE lower({text}) {whens} END"
    pattern, read, _ = TYPES[spec.type]
    return f"CASE WHEN regexp_full_match({text}, '{pattern}', 'i') THEN {read.format(text=text)} END"


def _first_problem(columns: dict[str, Column], drop: date, one_row_a_user: bool) -> str:
    """SQL for the first fault of a row: a struct of column and reason, null when there is none."""
    whens = [when for column, spec in columns.items() for when in _problems(column, spec, drop)]
    if one_row_a_user:
        copies = f"count(*) OVER (PARTITION BY {_read_value(USER, columns[USER])})"
        whens.append((USER, f"{copies} > 1", "the user stands in the file more than once"))
    cases = " ".join(
        f"WHEN {fault} THEN {{'column': '{column}', 'reason': '{reason}'}}" for column, fault, reason in whens
    )
    return f"CASE {cases} END"


def _problems(column: str, spec: Column, drop: date) -> list[tuple[str, str, str]]:
    text, value = _text(column), _read_value(column, spec)
    should = f"one of {', '.join(spec.allowed)}" if spec.allowed else TYPES[spec.type][2]
    problems = [(column, f"{text} IS NULL", "is empty")] if spec.required else []
    problems.append((column, f"{text} IS NOT NULL AND {value} IS NULL", f"is not {should}"))
    if spec.above_zero:
        problems.append((column, f"{value} <= 0", "must be above 0"))
    if spec.minimum is not None:
        problems.append((column, f"{value} < {spec.minimum}", f"must be at least {spec.minimum}"))
    if spec.maximum is not None:
        problems.append((column, f"{value} > {spec.maximum}", f"must be at most {spec.maximum}"))
    if spec.type == "date":
        problems.append((column, f"{value} > DATE '{drop}'", f"is after the drop of {drop}"))
    return problems


def _collect_rejects(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Move bad rows to `rejects`, each with its line in the file.

    The reader numbers a misshapen row by its line; a well-shaped row's line is found by its place among the lines that
    are neither blank nor misshapen.
    """
    connection.execute(f"""
        CREATE TEMP TABLE misshapen AS
        SELECT line, min(csv_line) AS raw, {_shape_problem()} AS reason
        FROM reject_errors GROUP BY line;
        CREATE TEMP TABLE shaped AS
        SELECT line, raw, row_number() OVER (ORDER BY line) AS record
        FROM lines WHERE raw IS NOT NULL AND line > 1 AND line NOT IN (SELECT line FROM misshapen);
        INSERT INTO rejects
        SELECT '{name}', line, NULL, reason, raw FROM misshapen
        UNION ALL
        SELECT '{name}', shaped.line, problem."column", problem.reason, shaped.raw
        FROM checked JOIN shaped USING (record) WHERE problem IS NOT NULL;
        DROP TABLE reject_errors; DROP TABLE reject_scans;
    """)


def _shape_problem() -> str:
    """SQL that says in plain words what the reader found wrong with a line's shape."""
    return """
        CASE first(error_type::VARCHAR ORDER BY byte_position)
            WHEN 'MISSING COLUMNS' THEN 'has too few fields'
            WHEN 'TOO MANY COLUMNS' THEN 'has too many fields'
            WHEN 'UNQUOTED VALUE' THEN 'has a quote that is not closed, or text after it'
            WHEN 'LINE SIZE OVER MAXIMUM' THEN 'is longer than 2 MB'
            WHEN 'INVALID ENCODING' THEN 'is not UTF-8'
            ELSE lower(first(error_message ORDER BY byte_position))
        END"""


def _check_accounts(connection: duckdb.DuckDBPyConnection, path: Path, max_reject_share: float) -> None:
    """Stop unless every line is a row kept or rejected, some row is kept, and not too many are rejected."""
    rows_in = _scalar(connection, "SELECT count(*) FROM lines WHERE raw IS NOT NULL AND line > 1")
    kept = _scalar(connection, f"SELECT count(*) FROM {path.stem}")
    rejected = _scalar(connection, f"SELECT count(*) FROM rejects WHERE file = '{path.name}'")
    if rows_in == 0:
        raise UserError(f"{path} holds a header and no row.")
    if rows_in != kept + rejected:
        raise UserError(
            f"{path}: of {rows_in} rows {kept} were kept and {rejected} rejected, which does not add up"
            f"{_line_break(connection)}. "
            "A quoted field runs over the end of its line, or a quote is never closed: mend that line."
        )
    if rejected > max_reject_share * rows_in:
        raise UserError(
            f"{path}: {rejected} of {rows_in} rows are bad ({rejected / rows_in:.1%}; max_reject_share allows "
            f"{max_reject_share:.1%}). For example:\n{_examples(connection, path.name)}\n"
            "Mend the file, or raise max_reject_share in params.yaml."
        )
    print(f"{path.name}: {rows_in} rows in = {kept} kept + {rejected} rejected")


def _line_break(connection: duckdb.DuckDBPyConnection) -> str:
    """Tell the first row that runs over its line's end; before it, rows and lines still go in step."""
    fields = "concat_ws('', *COLUMNS(* EXCLUDE record))"
    row = connection.execute(f"""
        SELECT line, raw FROM misshapen WHERE contains(raw, chr(10))
        UNION ALL
        SELECT line, raw FROM shaped
        WHERE record = (SELECT min(record) FROM records WHERE contains({fields}, chr(10)))
        ORDER BY line
    """).fetchone()
    return f" (see line {row[0]}: {row[1].splitlines()[0][:120]})" if row else ""


def _examples(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    rows = connection.execute(
        "SELECT min(line), column_name, reason, count(*), first(raw ORDER BY line) FROM rejects WHERE file = ? "
        "GROUP BY column_name, reason ORDER BY count(*) DESC, min(line) LIMIT 5",
        [name],
    ).fetchall()
    return "\n".join(
        f"  line {line}: {column or 'the line'} {reason} ({count} rows): {raw[:120]}"
        for line, column, reason, count, raw in rows
    )


def _scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return connection.execute(query).fetchone()[0]


def _quoted(text: object) -> str:
    return str(text).replace("'", "''")
