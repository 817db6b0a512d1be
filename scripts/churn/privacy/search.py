"""Whether a file has rows of a user: tables by their column of ids, texts by the id as a whole word."""

import csv
import gzip
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from churn.base.command import UserError
from churn.base.files import write_whole
from churn.base.printable import printable
from churn.data.mapping import Mapping
from churn.data.reader import SHAPES
from churn.data.records import REASONS
from churn.deliveries.formats import recognize
from churn.deliveries.receive import LIMITS
from churn.privacy.delivered import HEAD_BYTES, Layout, find_layouts, find_lines, id_columns, names_users
from churn.privacy.lines import drop_lines, text_lines
from churn.privacy.places import DELIVERED, HEADING, TABLES, TEXT, UNKNOWN
from churn.privacy.subject import USER_COLUMNS, Subject
from churn.release.pseudonyms import COLUMN as PSEUDONYM
from churn.release.pseudonyms import VARIABLE

COLUMNS = (*USER_COLUMNS, PSEUDONYM)
PARQUET, GZIP = b"PAR1", b"\x1f\x8b"
BLOCK = 1 << 24
# Rows that cannot be cut into fields.
MALFORMED = {*SHAPES.values(), *REASONS}


class UnsearchableError(UserError):
    """A file that may hold the user cannot be searched."""

    def __init__(self, what: str, why: str) -> None:
        self.why = why
        super().__init__(
            f"{what} {why}, so it cannot be searched, and may hold the user. Look into it, and remove it or replace "
            "it by what is in it; then erase again."
        )


@dataclass
class Search:
    """The search for a user.

    Attributes
    ----------
    scratch : Path
        An existing folder for unpacked files.
    names : frozenset of str
        What `id_columns` returns.
    layouts : dict of list of Layout
        How the CSVs of each name in the contract are written: `raw` of the rejected rows is written alike.
    doubts : set of Path
        Unknown files that may name the user and cannot be searched as tables: nobody but their owner can say.
    """

    subject: Subject
    mapping: Mapping
    scratch: Path
    names: frozenset[str] = frozenset()
    layouts: dict[str, list[Layout]] = field(default_factory=dict)
    doubts: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.names |= id_columns(self.mapping)

    def finds(self, path: Path, form: str = TABLES, is_unpacked: bool = False) -> bool:
        """Return whether a file has rows of the user.

        Parameters
        ----------
        path : Path
            A file of any format.
        form : str
            What kind of file it is; see `churn.privacy.places`.
        is_unpacked : bool
            The file was in another one, so it is not unpacked again.

        Raises
        ------
        UnsearchableError
            When it is packed more than once, or too large when it is unpacked; when it was delivered and is no text.
        """
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        mark = head[:4]
        if form == DELIVERED and (what := recognize(head)[0]):
            raise UnsearchableError(printable(path), f"is {what}")
        if mark == PARQUET:
            try:
                return self._in_parquet(path)
            except (pa.ArrowInvalid, OSError):
                if form != UNKNOWN:
                    raise UnsearchableError(printable(path), "is a damaged Parquet file") from None
                self.doubts.add(path)
                return False
        if form == UNKNOWN and _may_hide_tables(path, head):
            self.doubts.add(path)
            return False
        if mark[:2] == GZIP:
            if is_unpacked:
                raise UnsearchableError(printable(path), "is packed more than once")
            try:
                return self._unpacked(path, lambda inner: self._finds_inside(path, inner, form))
            except UnsearchableError as error:
                raise UnsearchableError(printable(path), error.why) from None
        if form == TEXT:
            return self._matches(path)
        has_names = names_users(path, self.mapping, self.names)
        if has_names and (layout := next(iter(self.learn(path)), None)):
            return bool(len(find_lines(path, layout, self.subject, self.scratch)))
        # A table may be written in a way that data/mapping.yaml no longer has.
        found = (has_names or form == DELIVERED) and self._matches(path)
        if found and form == UNKNOWN:
            self.doubts.add(path)
            return False
        return found

    def _finds_inside(self, path: Path, inner: Path, form: str) -> bool:
        found = self.finds(inner, form, is_unpacked=True)
        if inner in self.doubts:
            self.doubts.remove(inner)
            self.doubts.add(path)
        return found

    def is_table(self, path: Path) -> bool:
        """Return whether a file, of which only the beginning may be here, can be a table with users."""
        with path.open("rb") as file:
            mark = file.read(4)
        return mark == PARQUET or mark[:2] == GZIP or names_users(path, self.mapping, self.names)

    def learn(self, path: Path) -> list[Layout]:
        """Return how a file is written if it is a CSV with users, and remember it."""
        found = find_layouts(path, self.mapping)
        for layout in found:
            known = self.layouts.setdefault(layout.name, [])
            if not any(one.columns == layout.columns and one.dialect == layout.dialect for one in known):
                known.append(layout)
        return found

    def remove(self, path: Path, form: str = TABLES) -> None:
        """Write a file again without the user's rows, and in a text without the lines that name the user."""
        with path.open("rb") as file:
            mark = file.read(4)
        if form == TEXT and mark[:2] != GZIP:
            self._cut(path)
            return
        # Durable: all other copies of a raw drop are deleted next.
        with write_whole(path, durable=True) as new:
            if mark == PARQUET:
                kept = pq.read_table(path, partitioning=None)
                kept = kept.filter(pc.invert(self._owned(kept)))
                pq.write_table(kept, new, compression="zstd")
            elif mark[:2] == GZIP:
                self._repack(path, new, form)
            else:
                self._drop(path, new)
            shutil.copymode(path, new)

    def _drop(self, path: Path, new: Path) -> None:
        if layouts := self.learn(path):
            lines = find_lines(path, layouts[0], self.subject, self.scratch)
            drop_lines(path, lines, new, layouts[0].dialect.encoding)
        else:
            with new.open("wb") as file:
                file.writelines(self._without(path))

    def _cut(self, path: Path) -> None:
        """Write a text again in place: a server may append to the same file."""
        kept = b"".join(self._without(path))
        with path.open("r+b") as file:
            file.write(kept)
            file.truncate()

    def _without(self, path: Path) -> Iterator[bytes]:
        return (line for line in text_lines(path) if not self._names(line))

    def _repack(self, path: Path, new: Path, form: str) -> None:
        def remove(inner: Path) -> bool:
            self.remove(inner, form)
            with inner.open("rb") as source, gzip.GzipFile(new, "wb", mtime=0) as packed:
                shutil.copyfileobj(source, packed, BLOCK)
            return True

        self._unpacked(path, remove)

    def _unpacked(self, path: Path, act: Callable[[Path], bool]) -> bool:
        with TemporaryDirectory(dir=self.scratch) as folder:
            inner = Path(folder, path.name.removesuffix(".gz"))
            try:
                with gzip.open(path) as packed, inner.open("wb") as plain:
                    self._copy(packed, plain, path)
            except (OSError, EOFError, zlib.error):
                # What can be unpacked of a damaged file.
                pass
            return act(inner)

    def _copy(self, packed: BinaryIO | gzip.GzipFile, plain: BinaryIO, path: Path) -> None:
        """Unpack no more than a delivery may have: the rest would fill the disk."""
        size, most = path.stat().st_size, LIMITS.unpacked_bytes
        most, written = min(most, max(LIMITS.any_ratio_bytes, LIMITS.ratio * size)), 0
        while block := packed.read(BLOCK):
            written += len(block)
            is_full = shutil.disk_usage(self.scratch).free < LIMITS.free_bytes + len(block)
            if written > most or is_full:
                why = "is more than the disk has room for" if is_full else f"is larger than {most:,} bytes"
                raise UnsearchableError(printable(path), f"{why} when it is unpacked")
            plain.write(block)

    def _in_parquet(self, path: Path) -> bool:
        table = ds.dataset(path, format="parquet", partitioning=None)
        for column in COLUMNS:
            value = self._as(column, table.schema.field(column).type) if column in table.schema.names else None
            if value is not None and table.count_rows(filter=pc.field(column) == value):
                return True
        if _has_raw(table.schema):
            named = pc.match_substring_regex(pc.field("raw"), self.subject.spelling)
            return any(map(self._in_reject, table.scanner(filter=named).to_table().to_pylist()))
        return False

    def _owned(self, table: pa.Table) -> pa.Array:
        """Return for each row whether it is the user's."""
        owned = pa.array([False] * len(table)) if len(table) else pa.array([], pa.bool_())
        for column in COLUMNS:
            if column in table.column_names and (value := self._as(column, table[column].type)) is not None:
                owned = pc.or_(owned, pc.fill_null(pc.equal(table[column], value), False))
        if _has_raw(table.schema):
            owned = pc.or_(owned, pa.array([self._in_reject(row) for row in table.to_pylist()], pa.bool_()))
        return owned

    def _as(self, column: str, kind: pa.DataType) -> pa.Scalar | None:
        """Return the user's id, or pseudonym, as a value of a column, None if it cannot be one."""
        if column == PSEUDONYM:
            if not self.subject.pseudonym:
                raise UserError(
                    f"A dataset in MLflow has pseudonyms instead of ids, and {VARIABLE} is not set, so the user cannot "
                    "be found there. Put the key that was used then into .env, and run again."
                )
            return pa.scalar(self.subject.pseudonym, pa.string())
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return pa.scalar(self.subject.id, kind)
        if pa.types.is_integer(kind) and self.subject.number is not None:
            try:
                return pa.scalar(self.subject.number, kind)
            except (pa.ArrowInvalid, OverflowError):
                return None
        if pa.types.is_floating(kind) and self.subject.number is not None:
            # As pandas has ids of which some are missing.
            return pa.scalar(float(self.subject.number), kind)
        return None

    def _in_reject(self, row: dict[str, object]) -> bool:
        """Return whether a rejected row is the user's: its field has the id; if it has no fields, the row does."""
        raw, name = str(row["raw"] or ""), str(row.get("file", ""))
        if not self.subject.is_word_in(raw):
            return False
        if row.get("reason") in MALFORMED:
            return True
        for layout in self.layouts.get(name, []):
            try:
                lines = [f"{line}\n" for line in raw.split("\n")]
                rows = list(csv.reader(lines, delimiter=layout.dialect.delimiter, quotechar=layout.dialect.quote))
            except csv.Error:
                continue
            if len(rows) == 1 and len(rows[0]) == len(layout.columns):
                return self.subject.is_word_in(rows[0][layout.columns.index("CUS_CUST_ID_BUY")])
        return True

    def _matches(self, path: Path) -> bool:
        return any(map(self._names, text_lines(path)))

    def _names(self, line: bytes) -> bool:
        # Without the zero bytes, UTF-16 is searched too.
        return not HEADING.fullmatch(line) and self.subject.word.search(line.replace(b"\0", b"")) is not None


def _has_raw(schema: pa.Schema) -> bool:
    """Return whether a table has the rows that were rejected, as they were written."""
    kind = schema.field("raw").type if "raw" in schema.names else None
    return kind is not None and (pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _may_hide_tables(path: Path, head: bytes) -> bool:
    """Return whether a file may have tables inside that are not searched: a workbook or an archive, not a program."""
    what, _ = recognize(head)
    return bool(what) and (what != "a zip archive" or path.suffix == ".zip")
