"""Hostile deliveries, made from a good one: links, special files, bombs, names and contents.

Each function changes a delivery that is in the inbox; `kind` adds it to KINDS with the outcomes that are right.
"""

import gzip
import os
import random
import socket
import stat
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FILES = ("PAYMENTS.csv", "ACTIVE_USER.csv", "DEMOGRAFICOS.csv", "DINERO_CUENTA.csv", "MARKETPLACE_DATA.csv")
MEGABYTE = 1 << 20
NAMES = (
    "$(touch pwned)", "`touch pwned`", "; touch pwned", "| touch pwned", "a\nERROR: forged", "a\rb", "\x1b[2J\x1b[31m",
    "a\x07b", "a\x7fb", "'", '"', "'; DROP TABLE payments; --", "<svg onload=alert(1)>", "<img src=x onerror=a()>",
    "-rf", "--help", "-", "...", "%s%n", "{0.__class__}", "*", "?[a-z]", "[", "~", "~root", " ", "  a  ", "x" * 255,
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe", "a\N{ZERO WIDTH SPACE}b", "\N{LINE SEPARATOR}", "é" * 127, "\udcff\udcfe",
    "=cmd|'calc'!A0", "@SUM(1)", "x.in-inbox", "reason.txt", "_READY", "con", "a\\b", "#", "2026-01-01", "[bold]",
    "![x](http:evil)", "e\N{COMBINING ACUTE ACCENT}" * 30, "\N{CYRILLIC CAPITAL LETTER ER}AYMENTS.csv",
)  # fmt: skip
ANY = ("rejected", "ingested")


@dataclass(frozen=True)
class Place:
    """Where a delivery is made: the inbox, the repository, and a folder outside with a secret."""

    inbox: Path
    clone: Path
    outside: Path

    @property
    def secret(self) -> Path:
        """A file that nothing may read or change."""
        return self.outside / "secret.txt"


@dataclass(frozen=True)
class Kind:
    """A kind of hostile delivery: how to make it, and which outcomes are right."""

    group: str
    name: str
    make: Callable[[Path, random.Random, Place], object]
    right: tuple[str, ...]
    good_is_ingested: bool


KINDS: list[Kind] = []


def kind(group: str, *right: str, good_is_ingested: bool = True) -> Callable:
    """Add a function to the kinds."""

    def add(make: Callable) -> Callable:
        KINDS.append(Kind(group, make.__name__.strip("_"), make, right or ("rejected",), good_is_ingested))
        return make

    return add


def replace(folder: Path, one: random.Random, name: str = "") -> Path:
    """Remove one of the five files, and return its path."""
    path = folder / (name or one.choice(FILES))
    path.unlink()
    return path


@kind("links")
def _link_to_a_file(folder, one, place):
    targets = ("/etc/passwd", "/etc/shadow", place.secret, "../../clone/.git/config", "../../outside/secret.txt")
    replace(folder, one).symlink_to(one.choice(targets))


@kind("links")
def _link_to_process_or_device(folder, one, place):
    replace(folder, one).symlink_to(one.choice(("/proc/self/environ", "/dev/zero", "/dev/stdin", "/proc/self/fd/0")))


@kind("links")
def _link_to_itself(folder, one, place):
    path = replace(folder, one)
    path.symlink_to(path.name)


@kind("links")
def _extra_link(folder, one, place):
    (folder / one.choice(("notes", "reason.txt", "_READY2", "a.csv"))).symlink_to(one.choice((place.secret, "/", "..")))


@kind("links", "rejected", "left")
def _delivery_is_a_link(folder, one, place):
    target = one.choice((folder.rename(place.inbox.parent / "elsewhere"), "/etc", ".", "..", folder.name, "/nowhere"))
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    folder.symlink_to(target)


@kind("links")
def _hard_link_to_a_secret(folder, one, place):
    replace(folder, one).hardlink_to(place.secret)


@kind("links")
def _five_hard_links(folder, one, place):
    for name in FILES[1:]:
        replace(folder, one, name).hardlink_to(folder / FILES[0])


@kind("special files")
def _fifo(folder, one, place):
    os.mkfifo(replace(folder, one))


@kind("special files")
def _a_socket(folder, one, place):
    path, before = replace(folder, one), Path.cwd()
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(before)


@kind("special files")
def _device(folder, one, place):
    path = replace(folder, one)
    if os.geteuid():
        os.mkfifo(path)
        return
    character, block = stat.S_IFCHR | 0o666, stat.S_IFBLK | 0o666
    mode, numbers = one.choice(((character, (1, 5)), (character, (5, 0)), (character, (1, 8)), (block, (7, 0))))
    os.mknod(path, mode, os.makedev(*numbers))


@kind("special files")
def _a_folder_as_file(folder, one, place):
    (replace(folder, one) / "inner").mkdir(parents=True)


@kind("special files")
def _delivery_is_no_folder(folder, one, place):
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    one.choice((os.mkfifo, lambda path: path.write_bytes(b"PK\x03\x04"), lambda path: path.touch()))(folder)


@kind("bombs")
def _gzip_bomb(folder, one, place):
    path, unit = replace(folder, one), one.choice((bytes(MEGABYTE), b"a" * MEGABYTE, b"1,2,3,4,5\n" * 100_000))
    with gzip.open(f"{path}.gz", "wb") as file:
        for _ in range(300):
            file.write(unit)


@kind("bombs")
def _gzip_in_gzip(folder, one, place):
    path = replace(folder, one)
    Path(f"{path}.gz").write_bytes(gzip.compress(gzip.compress(bytes(50 * MEGABYTE))))


@kind("bombs")
def _broken_gzip(folder, one, place):
    path = replace(folder, one)
    packed = bytearray(gzip.compress(one.randbytes(200_000)))
    packed[one.randrange(20, len(packed))] ^= 0xFF
    Path(f"{path}.gz").write_bytes(packed[: one.choice((len(packed), len(packed) // 2, 11))])


@kind("bombs")
def _zip_bomb(folder, one, place):
    path = replace(folder, one)
    with zipfile.ZipFile(one.choice((path, f"{path}.zip", f"{path}.gz")), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../outside/secret.txt", bytes(200 * MEGABYTE))


@kind("bombs")
def _line_of_2_gb(folder, one, place):
    path = folder / one.choice(FILES)
    header = path.read_bytes().partition(b"\n")[0] + b"\n"
    with path.open("wb") as file:
        file.write(one.choice((b"", header)))
        if one.random() < 0.3:
            for _ in range(2048):
                file.write(b"a" * MEGABYTE)
        file.truncate(2 << 30)


@kind("bombs", *ANY)
def _lines_of_60_mb(folder, one, place):
    with (folder / one.choice(FILES)).open("ab") as file:
        for _ in range(6):
            file.write(one.choice((b"a", b",", b'"', b"\0")) * (60 * MEGABYTE) + b"\n")


@kind("bombs", *ANY)
def _many_columns(folder, one, place):
    path, extra = folder / one.choice(FILES), one.choice((1_000, 9_000, 15_000))
    header, *rows = path.read_text().splitlines()
    wide = ",".join(f"c{number}" for number in range(extra))
    path.write_text("\n".join([f"{header},{wide}", *(row + "," * extra for row in rows[:500])]) + "\n")


@kind("bombs", *ANY)
def _many_commas(folder, one, place):
    path = folder / one.choice(FILES)
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *(row + "," * one.choice((7, 100_000)) for row in rows[:300])]) + "\n")


@kind("bombs")
def _quote_without_end(folder, one, place):
    with (folder / one.choice(FILES)).open("ab") as file:
        file.write(b'"' + b"x,y\n" * (10 * MEGABYTE))


@kind("bombs")
def _millions_of_bad_rows(folder, one, place):
    with (folder / one.choice(FILES)).open("ab") as file:
        file.write(one.choice((b"\n", b"x\n", b'"x",\n', b",,,,,,\n", b'"\n', b"a,b,c,d,e,f\n")) * 3_000_000)


@kind("bombs")
def _huge_numbers(folder, one, place):
    path = folder / one.choice(FILES)
    header, *rows = path.read_text().splitlines()
    value = one.choice(("9" * 1_000_000, "1e308", "-1e-999999", "NaN", "inf", "99999-12-31", "0x7f", "٣", "1_000"))
    path.write_text("\n".join([header, *(",".join([value] * len(header.split(","))) for _ in rows[:200])]) + "\n")


@kind("many files", "ingested")
def _deep_folders(folder, one, place):
    before = Path.cwd()
    os.chdir(folder)
    for _ in range(one.choice((50, 1_000))):
        Path("d" * 100).mkdir()
        os.chdir("d" * 100)
    os.chdir(before)


@kind("many files", "ingested")
def _thousands_of_files(folder, one, place):
    for number in range(4_000):
        (folder / f"{one.choice(('a', '~$', '.', 'é'))}{number}").touch()


@kind("names")
def _delivery_name(folder, one, place):
    folder = folder.rename(place.inbox / one.choice(NAMES))
    (folder / one.choice(FILES)).write_text("")


@kind("names", "ingested")
def _good_delivery_with_a_name(folder, one, place):
    folder.rename(place.inbox / one.choice([name for name in NAMES if name.strip("-~.") and not name.startswith("~")]))


@kind("names", "ingested")
def _extra_file_names(folder, one, place):
    for name in one.sample(NAMES, 12):
        if not (folder / name).exists():
            (folder / name).write_text("x")


@kind("names")
def _file_name_instead(folder, one, place):
    path = folder / one.choice(FILES)
    path.rename(folder / one.choice([name for name in NAMES if not (folder / name).exists()]))


@kind("names", "ingested")
def _other_case(folder, one, place):
    for name in FILES:
        (folder / name).rename(folder / "".join(one.choice((char.lower(), char.upper())) for char in name))


@kind("names")
def _two_cases(folder, one, place):
    name = one.choice(FILES)
    (folder / one.choice((name.lower(), f"{name}.gz"))).write_bytes((folder / name).read_bytes())


@kind("names")
def _lookalike(folder, one, place):
    path = replace(folder, one)
    other = one.choice(
        (("A", "\N{CYRILLIC CAPITAL LETTER A}"), ("E", "\N{GREEK CAPITAL LETTER EPSILON}"), (".", "\N{ONE DOT LEADER}"))
    )
    path.with_name(path.name.replace(*other)).write_text("x")
