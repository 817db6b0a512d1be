"""Hostile deliveries, made from a good one: contents, permissions, changes while it is read, and settings.

Each function changes a delivery that is in the inbox; one that returns a function has that called during the run.
"""

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from threading import Event

from hostile_files import ANY, FILES, MEGABYTE, NAMES, kind

CLOSED = 0o000
HEADERS = ("=cmd|' /C calc'!A0", "<script>alert(1)</script>", '"a\nERROR: b"', "\x1b[31m", "a\0b", "{}", "'; --", "%s")
VALUES = (
    "=cmd|' /C calc'!A0", "@SUM(1+1)", "+1", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "\x1b]0;title\x07", "a\x00b", "\x85", "$(id)", "`id`", "${jndi:ldap://x}", "'; DROP TABLE payments; --", "[x](y)",
    "\N{RIGHT-TO-LEFT OVERRIDE}abc", "\N{ZERO WIDTH SPACE}", "\ufeff", "|", "\\", "\\n", "%n%s", "{{7*7}}", "🏦" * 99,
)  # fmt: skip
MAPPINGS = {
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)),
    "aliases in nulls": "nulls: &a [x,x,x,x,x,x,x,x,x]\nstrip: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n",
    "merge keys": "files: &a {<<: &b {<<: *b}}\n",
    "an alias to itself": "files: &a {PAYMENTS.csv: *a}\n",
    "a list in itself": "nulls: &a [*a]\n",
    "a Python object": "!!python/object/apply:os.system ['touch ../outside/pwned']\n",
    "a Python name": "delimiter: !!python/name:os.system\n",
    "nesting": "[" * 5_000 + "]" * 5_000,
    "nested maps": "{a: " * 3_000 + "1" + "}" * 3_000,
    "a huge number": "skip: {lines: " + "9" * 100_000 + "}\n",
    "a number in base 60": "skip: {lines: " + "59:" * 20_000 + "59}\n",
    "control characters": "delimiter: '\x1b[31m\x07'\n",
    "NUL": "delimiter: 'a\0b'\n",
    "escapes": 'delimiter: "\\x1b[2J\\nERROR: forged"\n',
    "a key of HTML": "<script>alert(1)</script>: {}\n",
    "a long key": "x" * 500_000 + ": 1\n",
    "a pattern": 'files: {PAYMENTS.csv: {name: "' + "*a" * 60 + 'b"}}\n',
    "an unclosed pattern": 'files: {PAYMENTS.csv: {name: "[[[!*"}}\n',
    "a path as name": 'files: {PAYMENTS.csv: {name: "../../outside/secret.txt"}}\n',
    "a path as time zone": "time_zone: {written: ../../../etc/passwd, local: UTC}\n",
    "an unknown encoding": "encoding: zlib_codec\n",
    "an encoding with a path": "encoding: ../../etc/passwd\n",
    "latin-1": b"delimiter: '\xe9'\n",
    "a tag of binary": "delimiter: !!binary AAAA\n",
    "a date": "decimal: 2026-01-01\n",
    "a set": "nulls: !!set {a, b}\n",
}


@kind("contents", *ANY)
def _values(folder, one, place):
    path = folder / one.choice(FILES[2:4])
    header, *rows = path.read_text().splitlines()
    changed = [",".join([*row.split(",")[:-1], one.choice(VALUES)]) for row in rows]
    share = one.choice((len(rows), 3))
    path.write_text("\n".join([header, *changed[:share], *rows[share:]]) + "\n")


@kind("contents", *ANY)
def _headers(folder, one, place):
    path = folder / one.choice(FILES)
    header, rest = path.read_text().split("\n", 1)
    columns = header.split(",")
    more = one.choice((columns, [*columns, *one.sample(HEADERS, 3)], one.sample(HEADERS, 3), [*columns, columns[0]]))
    path.write_text(",".join(more) + "\n" + rest)


@kind("contents", *ANY)
def _encodings(folder, one, place):
    path = folder / one.choice(FILES)
    text = path.read_text()
    written = one.choice(("utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-7", "cp037"))
    mixed = text.encode() + "ñandú,é\n".encode("latin-1") * 3 + "ñandú\n".encode("utf-16")
    path.write_bytes(one.choice((text.encode(written), mixed, b"\xef\xbb\xbf" * 3 + text.encode())))


@kind("contents")
def _random_bytes(folder, one, place):
    begin = one.choice((b"", (folder / FILES[0]).read_bytes()[:200], b"PK\x03\x04", b"\x1f\x8b\x08", b"PAR1", b"%PDF"))
    (folder / one.choice(FILES)).write_bytes(begin + one.randbytes(one.choice((100, 1_000_000))))


@kind("contents")
def _zeros(folder, one, place):
    path, size = folder / one.choice(FILES), one.choice((0, 1, 3_000, MEGABYTE))
    path.write_bytes(one.choice((b"", path.read_bytes().partition(b"\n")[0] + b"\n")) + bytes(size))


@kind("contents", *ANY)
def _line_ends(folder, one, place):
    path = folder / one.choice(FILES)
    ends = one.choice((b"\r", b"\r\n", b"\r\r\n", b"\n\r", b"\x0b", b"\xc2\x85", b"\n\n\n"))
    path.write_bytes(path.read_bytes().replace(b"\n", ends))


@kind("contents", "ingested")
def _settings_in_the_delivery(folder, one, place):
    for name in (
        "mapping.yaml",
        "params.yaml",
        "dvc.yaml",
        "a.dvc",
        ".dvcignore",
        ".gitattributes",
        "Makefile",
        ".env",
    ):
        content = one.choice(list(MAPPINGS.values()))
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


@kind("permissions", "rejected", "left")
def _closed_file(folder, one, place):
    (folder / one.choice(FILES)).chmod(CLOSED)


@kind("permissions", "left")
def _closed_folder(folder, one, place):
    folder.chmod(one.choice((CLOSED, 0o300, 0o444)))


@kind("permissions", "ingested", "left", "rejected")
def _folder_of_somebody_else(folder, one, place):
    if os.geteuid() == 0:
        mode = one.choice((0o755, 0o700, 0o555, CLOSED))
        return lambda stop: (os.chown(folder, 0, 0), folder.chmod(mode)) if folder.exists() else None
    folder.chmod(0o500)
    return None


@kind("permissions", "ingested", "left")
def _folder_without_writing(folder, one, place):
    folder.chmod(0o555)


def repeat(act, pause: float = 0.002):
    """Return a function that does something again and again until it must stop."""

    def go(stop: Event) -> None:
        while not stop.wait(pause):
            with suppress(OSError):
                act()

    return go


@kind("changes", "rejected", "ingested", "left", "waits")
def _grows(folder, one, place):
    path = folder / one.choice(FILES)
    return repeat(lambda: os.truncate(path, path.stat().st_size + 100_000) if path.exists() else None)


@kind("changes", "rejected", "ingested", "left", "waits")
def _shrinks_and_grows(folder, one, place):
    path = folder / one.choice(FILES)
    content = path.read_bytes()
    return repeat(lambda: path.write_bytes(content[: one.randrange(len(content))]) if path.exists() else None)


@kind("changes", "rejected", "ingested", "left", "waits", "gone")
def _vanishes(folder, one, place):
    after, what = one.uniform(0.5, 4), one.choice((folder, folder / one.choice(FILES)))

    def go(stop: Event) -> None:
        stop.wait(after)
        subprocess.run(["rm", "-rf", str(what)], check=False)

    return go


@kind("changes", "rejected", "ingested", "left", "waits")
def _file_becomes_a_link(folder, one, place):
    return _alternate(folder / one.choice(FILES), folder.parent, place.secret)


@kind("changes", "rejected", "ingested", "left", "waits", "gone")
def _folder_becomes_a_link(folder, one, place):
    return _alternate(folder, folder.parent, place.outside)


@kind("changes", "rejected", "ingested", "left", "waits", "gone")
def _renamed_midway(folder, one, place):
    return repeat(lambda: folder.rename(folder.parent / one.choice(NAMES[:20])), 0.5)


def _alternate(path: Path, beside: Path, target: Path):
    """Replace a file or folder by a link for a moment, again and again."""
    link, kept = beside / ".link", beside / ".kept"
    link.symlink_to(target)

    def swap() -> None:
        path.rename(kept)
        link.rename(path)
        time.sleep(0.001)
        path.rename(link)
        kept.rename(path)

    return repeat(swap, 0.001)


def _write(path: Path, content: str | bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


for name, content in MAPPINGS.items():

    def _set_mapping(folder, one, place, content=content):
        _write(place.clone / "data/mapping.yaml", content)

    _set_mapping.__name__ = f"mapping.yaml with {name}"
    kind("settings", "refused", "ingested", "rejected", good_is_ingested=False)(_set_mapping)


@kind("settings", "refused", good_is_ingested=False)
def _settings_file_is_a_link(folder, one, place):
    path = place.clone / one.choice(("data/mapping.yaml", "data/drops.yaml", "params.yaml"))
    path.unlink(missing_ok=True)
    path.symlink_to(one.choice((place.secret, "/etc/passwd", path.name, "/dev/zero", "/etc")))


@kind("settings", "refused", good_is_ingested=False)
def _params_or_drops_with_a_bomb(folder, one, place):
    path = place.clone / one.choice(("data/drops.yaml", "params.yaml"))
    _write(path, MAPPINGS[one.choice(("aliases", "a list in itself", "a Python object", "nesting", "NUL", "latin-1"))])


@kind("settings", "refused", good_is_ingested=False)
def _inbox_has_links(folder, one, place):
    (place.inbox / one.choice((".lock", ".done", "rejected"))).symlink_to(one.choice((place.secret, place.outside)))


@kind("settings", "refused", good_is_ingested=False)
def _inbox_has_special_files(folder, one, place):
    path = place.inbox / one.choice((".lock", ".done", "rejected"))
    one.choice((os.mkfifo, lambda path: path.write_text("x")) if path.name != ".lock" else (os.mkfifo, Path.mkdir))(
        path
    )
