"""Find a user's records in a CSV, as the pipeline reads it: by the contract and data/mapping.yaml."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np

from churn.base.command import UserError
from churn.base.files import quote
from churn.base.git import run_git
from churn.data.checks import MOST_MALFORMED
from churn.data.contract import FILES, USER
from churn.data.fields import UNSEEN, text_of, value_of
from churn.data.header import read_header
from churn.data.mapping import MAPPING, Dialect, Mapping
from churn.data.reader import rows_of
from churn.data.records import Records, cut_file, find_records
from churn.data.transcode import is_utf8, transcode
from churn.privacy.subject import USER_COLUMNS, Subject, has_text_ids

HEAD_BYTES, HEAD_LINES = 1 << 16, 40
# How pages and JSON files begin.
NO_CSV = ("<", "{", "[")
# In a data/mapping.yaml: how the column with users' ids is named.
RENAMED = re.compile(rf"{USER}\s*:\s*([^,}}\n#]+)")


@dataclass(frozen=True)
class Layout:
    """How a CSV with users is written.

    Attributes
    ----------
    name : str
        Its name in the contract; "" for a CSV that the pipeline wrote.
    columns : list of str
        A name for each field; USER is the column with the ids.
    begin, lines : int
        The byte where the rows begin, of the file in UTF-8, and the number of lines before it.
    """

    name: str
    dialect: Dialect
    columns: list[str]
    begin: int
    lines: int


def find_layouts(path: Path, mapping: Mapping) -> list[Layout]:
    """Return how a file may be written if it is a CSV with users; nothing for any other file."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    found = []
    tried = [(name, one) for name in FILES for one in dict.fromkeys(map(_Key, (mapping.dialects[name], Dialect())))]
    with TemporaryDirectory() as folder:
        for name, key in tried:
            dialect = key.dialect
            text = head.decode(dialect.encoding, "replace")
            if dialect.columns.get(USER, USER).casefold() not in text.casefold():
                continue
            copy = Path(folder, name)
            copy.write_bytes(head if is_utf8(dialect.encoding) else text.encode(errors="replace"))
            with suppress(UserError):
                header = read_header(copy, copy, dialect)
                found.append(Layout(name, dialect, header.columns, header.begin, header.lines))
                break
    first, _, _ = head.partition(b"\n")
    cells: list[str] = []
    with suppress(csv.Error):
        cells = next(csv.reader([first.decode(errors="replace").rstrip("\r")]), [])
    if not found and any(cell in USER_COLUMNS for cell in cells):
        place = next(place for place, cell in enumerate(cells) if cell in USER_COLUMNS)
        columns = [USER if at == place else f"extra {at}" for at in range(len(cells))]
        own = Dialect(user_id="text" if has_text_ids(mapping) else "whole")
        found.append(Layout("", own, columns, len(first) + 1, 1))
    return found


def id_columns(mapping: Mapping, root: Path | None = None) -> frozenset[str]:
    """Return the names that the column with users' ids has or had, in lower case.

    Parameters
    ----------
    mapping : Mapping
        How CSVs are written now.
    root : Path or None
        The repository, whose data/mapping.yaml was another one before: in git, or beside it as mapping.replaced.yaml.
    """
    names = {*USER_COLUMNS, *(one.columns.get(USER, USER) for one in mapping.dialects.values())}
    if root is not None:
        texts = [run_git("-C", str(root), "log", "--all", "--format=", "--patch", "--", str(MAPPING)).stdout]
        texts += [path.read_text(errors="replace") for path in (root / MAPPING.parent).glob("mapping.replaced*.yaml")]
        names |= {name.strip().strip("'\"") for text in texts for name in RENAMED.findall(text)}
    return frozenset(name.casefold() for name in names if name)


def names_users(path: Path, mapping: Mapping, names: frozenset[str]) -> bool:
    """Return whether a file may be a CSV with users: its first lines have the name of a column of ids.

    In any known encoding; a page or a JSON file that has such a name is not a CSV.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    begin = head.lstrip()[:1].decode(errors="replace")
    # Unless columns are named like that: [Cliente].
    if begin in NO_CSV and not any(name.startswith(begin) for name in names):
        return False
    word = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(names)))})(?!\w)")
    encodings = {"utf-8", "utf-16", *(one.encoding for one in mapping.dialects.values())}
    texts = (head.decode(one, "replace").casefold().splitlines()[:HEAD_LINES] for one in encodings)
    return any(word.search(line) for lines in texts for line in lines)


def find_lines(path: Path, layout: Layout, subject: Subject, scratch: Path) -> np.ndarray:
    """Return the lines of a user's records, from 0: what is read as this user's, or is malformed and names the user."""
    dialect, found = layout.dialect, [np.empty(0, np.int64)]
    with _in_utf8(path, dialect.encoding, scratch) as source:
        before = layout.lines
        for split in cut_file(source, layout.begin, len(layout.columns), dialect.delimiter, dialect.quote):
            text = split.read()
            if subject.may_be_in(text, dialect):
                found.append(_lines_of(text, layout, subject) + before)
            before += _count_lines(text)
    return np.concatenate(found)


@contextmanager
def _in_utf8(path: Path, encoding: str, scratch: Path) -> Iterator[Path]:
    if is_utf8(encoding):
        yield path
        return
    with TemporaryDirectory(dir=scratch) as folder:
        transcode(path, encoding, Path(folder, "rows"))
        yield Path(folder, "rows")


def _count_lines(text: bytes) -> int:
    return text.count(b"\n") + (text.count(b"\r") - text.count(b"\r\n") if b"\r" in text else 0)


def _lines_of(text: bytes, layout: Layout, subject: Subject) -> np.ndarray:
    """Return the lines of a split that are to go."""
    dialect, fields = layout.dialect, len(layout.columns)
    for check_all in (False, True):
        records = find_records(text, fields, dialect.delimiter, dialect.quote, check_all)
        owned = _find_owned(records, layout, subject)
        if owned is not None:
            break
    else:
        # DuckDB cannot read it: each line that names the user goes.
        owned = np.arange(len(records.ends))[_name_user(records, np.arange(len(records.ends)), subject)]
    return _to_lines(records, owned)


def _find_owned(records: Records, layout: Layout, subject: Subject) -> np.ndarray | None:
    """Return a user's records; None if the records are not those that DuckDB finds."""
    dialect = layout.dialect
    text = records.to_read()
    spec = FILES["PAYMENTS.csv"][USER]
    types = ", ".join(f"{quote(f'field {place}')}: 'VARCHAR'" for place in range(len(layout.columns)))
    column = f'"field {layout.columns.index(USER)}"'
    has_unseen = not text.isascii() and any(blank.encode() in text for blank in UNSEEN)
    value = value_of(USER, spec, dialect, has_unseen, bool(len(records.joints)))
    options = (
        f"header = false, auto_detect = false, parallel = false, columns = {{{types}}}, "
        f"delim = {quote(dialect.delimiter)}, quote = {quote(dialect.quote)}, escape = {quote(dialect.quote)}, "
        f"store_rejects = true, rejects_limit = {MOST_MALFORMED}"
    )
    with TemporaryDirectory() as folder, duckdb.connect(config={"threads": 1}) as connection:
        rows = Path(folder, "rows.csv")
        rows.write_bytes(text)
        read = f'SELECT {column} AS "{USER}" FROM read_csv({quote(rows)}, {options})'
        inner = f'SELECT {text_of(USER, spec, dialect)} AS "text_{USER}" FROM ({read})'
        try:
            connection.execute(
                f'CREATE TABLE ids AS SELECT ({value})::VARCHAR AS id, "text_{USER}" AS text FROM ({inner})'
            )
        except duckdb.Error:
            return None
        errors = connection.execute("SELECT DISTINCT line FROM reject_errors ORDER BY line").fetchall()
        malformed = records.read[np.array([line for (line,) in errors], dtype=np.int64) - 1]
        ((parsed,),) = connection.execute("SELECT count(*) FROM ids").fetchall()
        if parsed + len(malformed) != records.rows:
            return None
        owned = connection.execute("SELECT rowid FROM ids WHERE id = $id", {"id": subject.id}).fetchnumpy()["rowid"]
        unread = connection.execute(
            "SELECT rowid, text FROM ids WHERE id IS NULL AND regexp_matches(text, $id)", {"id": subject.spelling}
        ).fetchall()
    also = [row for row, written in unread if subject.is_word_in(written)]
    rows_owned = np.concatenate([np.asarray(owned, np.int64), np.array(also, np.int64)])
    broken = np.union1d(malformed, records.excluded)
    named = broken[_name_user(records, broken, subject)]
    return np.union1d(rows_of(records, malformed.tolist())[rows_owned], named)


def _name_user(records: Records, which: np.ndarray, subject: Subject) -> np.ndarray:
    """Return for each of some records whether it has the user's id as a whole word."""
    starts, ends = records.starts[which].tolist(), records.ends[which].tolist()
    both = zip(starts, ends, strict=True)
    return np.array([subject.word.search(records.text, start, end) is not None for start, end in both], dtype=bool)


def _to_lines(records: Records, owned: np.ndarray) -> np.ndarray:
    """Return the lines of records."""
    before = np.searchsorted(records.joints, records.starts[owned])
    more = np.searchsorted(records.joints, records.ends[owned]) - before
    first = owned + before
    return np.concatenate([np.arange(one, one + extra + 1) for one, extra in zip(first, more, strict=True)] or [first])


@dataclass(frozen=True)
class _Key:
    """A dialect that can be compared."""

    dialect: Dialect

    def __hash__(self) -> int:
        return hash(repr(self.dialect))
