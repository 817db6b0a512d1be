"""Find the drop before a delivery, to compare them."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from churn.base.command import UserError
from churn.base.drops import parse_drop, read_list
from churn.base.reading import read_json
from churn.data.contract import FILES, USER_FILES
from churn.deliveries.folders import file_md5s, tracked_md5s

CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class Before:
    """The drop before a delivery: its date, and what is known of its files by name: their MD5s and numbers of rows."""

    drop: date
    md5s: dict[str, str]
    rows: dict[str, int]


def find_before(raw: Path, listing: Path, drop: date) -> Before | None:
    """Return the newest drop before a date, listed or in data/raw; None if there is none."""
    _, drops = read_list(listing)
    for folder in raw.glob("????-??-??"):
        with suppress(UserError):
            drops.append(parse_drop(folder.name))
    older = [day for day in drops if day < drop]
    if not older:
        return None
    folder = raw / str(max(older))
    return Before(max(older), tracked_md5s(folder), _count_rows(folder, listing.parent.parent / "metrics"))


def _count_rows(folder: Path, metrics: Path) -> dict[str, int]:
    """Return how many rows the files of a drop have: as its metrics say, or else as many as lines."""
    rows: dict[str, int] = {}
    for stage in "clean_payments", "build_user_base":
        path = metrics / stage / f"{folder.name}.json"
        if path.is_file():
            rows |= {name: int(counts["rows_in"]) for name, counts in read_json(path).items()}
    return rows | {
        name: _count_lines(folder / name) for name in FILES if name not in rows and (folder / name).is_file()
    }


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return max(
            0,
            sum(max(chunk.count(b"\n"), chunk.count(b"\r")) for chunk in iter(lambda: file.read(CHUNK_BYTES), b"")) - 1,
        )


def report_repeated(folder: Path, before: Before | None) -> None:
    """Print which user files are the same as those of the drop before: they were perhaps not exported again."""
    if before and before.md5s:
        md5s = file_md5s(folder, USER_FILES)
        if same := [name for name in USER_FILES if md5s[name] == before.md5s.get(name)]:
            print(f"NOTE: {', '.join(same)}: the same bytes as in drop {before.drop}. Were they exported again?")
