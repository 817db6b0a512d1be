"""Broken or hostile files: each delivery is rejected with its own reason, and the next one is ingested."""

import gzip
import os
import shutil
import socket
import zlib
from pathlib import Path

import pytest
from test_ingest_drop import repository, source, write_payments  # noqa: F401
from test_ingest_inbox import TEN_MINUTES, deliver, inbox, listed, look, names_in  # noqa: F401

from churn.base.command import UserError
from churn.data.contract import FILES
from churn.deliveries.receive import Limits, receive_delivery

SECRET = "TOKEN=do-not-read-this"
HEADER = ",".join(FILES["PAYMENTS.csv"]).encode() + b"\n"
ROW = b"2026-03-01,S1,1001,12.50,Instore,0.05\n"


def reason(inbox, name) -> str:  # noqa: F811  fixtures of test_ingest_inbox
    return (inbox / "rejected" / name / "reason.txt").read_text()


def link_to_secret(folder):
    (folder.parent.parent / ".env").write_text(SECRET)
    (folder / "PAYMENTS.csv").unlink()
    (folder / "PAYMENTS.csv").symlink_to("../../.env")


def link_to_process(folder):
    (folder / "PAYMENTS.csv").unlink()
    (folder / "PAYMENTS.csv").symlink_to("/proc/self/environ")


def link_loop(folder):
    (folder / "PAYMENTS.csv").unlink()
    (folder / "PAYMENTS.csv").symlink_to("PAYMENTS.csv")


def link_as_reason(folder):
    (folder.parent.parent / ".env").write_text(SECRET)
    (folder / "reason.txt").symlink_to("../../.env")


def link_to_folder(folder):
    real = folder.rename(folder.parent.parent / "elsewhere")
    folder.symlink_to(real)


def fifo(folder):
    (folder / "ACTIVE_USER.csv").unlink()
    os.mkfifo(folder / "ACTIVE_USER.csv")


def listening_socket(folder):
    (folder / "ACTIVE_USER.csv").unlink()
    # The path of a socket may have a hundred bytes only.
    before = Path.cwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("ACTIVE_USER.csv")
    finally:
        os.chdir(before)


def device(folder):
    (folder / "ACTIVE_USER.csv").unlink()
    try:
        os.mknod(folder / "ACTIVE_USER.csv", 0o020666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root may make a device")


def write_as(name, content):
    def write(folder):
        (folder / name.removesuffix(".gz")).unlink()
        (folder / name).write_bytes(content)

    return write


def gzip_bomb(folder):
    rows = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = rows.compress(HEADER) + b"".join(rows.compress(ROW * 27_000) for _ in range(200)) + rows.flush()
    write_as("PAYMENTS.csv.gz", packed)(folder)


def line_without_an_end(folder):
    with (folder / "PAYMENTS.csv").open("ab") as file:
        file.truncate(2 << 30)  # a sparse file: zeros


def header_without_an_end(folder):
    with (folder / "DEMOGRAFICOS.csv").open("wb") as file:
        file.truncate(2 << 30)


def zips_only(folder):
    for name in FILES:
        (folder / name).unlink()
        (folder / f"{name}.zip").write_bytes(b"PK\x03\x04")


def other_names(folder):
    for name in FILES:
        (folder / name).rename(folder / f"{name[:-4]}_20260322.csv")


def two_cases(folder):
    shutil.copy(folder / "PAYMENTS.csv", folder / "payments.csv")


def folder_as_file(folder):
    (folder / "PAYMENTS.csv").unlink()
    (folder / "PAYMENTS.csv").mkdir()


def old_reason_folder(folder):
    (folder / "reason.txt").mkdir()
    (folder / "PAYMENTS.csv").write_text("")


XLSX = b"PK\x03\x04\x14\0\x06\0" + bytes(18) + b"\x13\0\0\0[Content_Types].xml"
CASES = [
    (link_to_secret, "PAYMENTS.csv is a link"),
    (link_to_process, "PAYMENTS.csv is a link"),
    (link_loop, "PAYMENTS.csv is a link"),
    (link_as_reason, "reason.txt is a link"),
    (link_to_folder, "is a link, and a delivery must be a folder"),
    (fifo, "ACTIVE_USER.csv is a FIFO"),
    (listening_socket, "ACTIVE_USER.csv is a socket"),
    (device, "ACTIVE_USER.csv is a device"),
    (folder_as_file, "PAYMENTS.csv is a folder"),
    (gzip_bomb, "becomes more than 200 times as large"),
    (line_without_an_end, "PAYMENTS.csv, line 3: longer than 16 MB"),
    (header_without_an_end, "DEMOGRAFICOS.csv, line 1: no line end in the first 100 kB"),
    (write_as("PAYMENTS.csv.gz", gzip.compress(HEADER + ROW)[:-9]), "PAYMENTS.csv.gz cannot be unpacked"),
    (write_as("PAYMENTS.csv.gz", HEADER + ROW), "is not packed with gzip. Name it PAYMENTS.csv"),
    (write_as("PAYMENTS.csv.gz", gzip.compress(gzip.compress(HEADER + ROW))), "is packed with gzip twice"),
    (write_as("PAYMENTS.csv.gz", b"PK\x03\x04" + bytes(99)), "is a zip archive, not a CSV packed with gzip"),
    (write_as("PAYMENTS.csv.gz", gzip.compress(XLSX)), "contains a file that is an Excel workbook (.xlsx)"),
    (write_as("PAYMENTS.csv", gzip.compress(HEADER + ROW)), "is packed with gzip. Name it PAYMENTS.csv.gz"),
    (write_as("PAYMENTS.csv", b"PK\x03\x04" + bytes(99)), "PAYMENTS.csv is a zip archive, not a CSV"),
    (write_as("PAYMENTS.csv", XLSX), "is an Excel workbook (.xlsx), not a CSV. Save the sheet as CSV"),
    (write_as("PAYMENTS.csv", b"\xd0\xcf\x11\xe0" + bytes(99)), "is an old Excel workbook (.xls)"),
    (zips_only, "Archives are not unpacked"),
    (other_names, 'data/mapping.yaml: files: {PAYMENTS.csv: {name: "PAYMENTS_*.csv"}}'),
    (two_cases, "has both PAYMENTS.csv and payments.csv"),
    (old_reason_folder, "PAYMENTS.csv is empty"),
]


@pytest.mark.parametrize(("spoil", "expected"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_each_has_its_reason_and_the_next_is_ingested(inbox, deliver, capsys, spoil, expected):  # noqa: F811
    spoil(deliver("bad", "2026-03-01", ready=False))
    deliver("good")
    assert look(inbox, later=TEN_MINUTES) == ["bad"]
    assert listed(inbox) == ["2026-03-08"] and names_in(inbox / ".done") == ["good"]
    assert expected in reason(inbox, "bad").splitlines()[0]
    said = capsys.readouterr().out
    assert SECRET not in said + reason(inbox, "bad") and "PATH=" not in reason(inbox, "bad")
    # What a link leads to is as it was.
    env = inbox.parent / ".env"
    assert not env.exists() or env.read_text() == SECRET
    assert not list((inbox.parent / "data/raw").glob(".writing-*"))


@pytest.mark.parametrize("pad", [b"", bytes(1000)], ids=["one file after another", "and zeros at the end"])
def test_gzip_files_in_a_row_are_read_whole(inbox, deliver, pad):  # noqa: F811
    rows = gzip.compress(HEADER + ROW) + gzip.compress(ROW * 3) + pad
    write_as("PAYMENTS.csv.gz", rows)(deliver("a"))
    assert look(inbox) == []
    assert (inbox.parent / "data/raw/2026-03-01/PAYMENTS.csv").read_bytes() == HEADER + ROW * 4


def test_names_in_another_case_are_accepted(inbox, deliver):  # noqa: F811
    folder = deliver("a")
    for name in FILES:
        (folder / name).rename(folder / name.lower())
    shutil.move(folder / "payments.csv", folder / "Payments.CSV")
    assert look(inbox) == [] and listed(inbox) == ["2026-03-08"]
    assert names_in(inbox.parent / "data/raw/2026-03-08") == sorted(FILES)
    # Errors name the file as the sender does.
    (shutil.copytree(inbox / ".done/a", inbox / "b") / "dinero_cuenta.csv").write_text("")
    assert look(inbox) == ["b"] and reason(inbox, "b").startswith(f"{inbox}/b/dinero_cuenta.csv is empty")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(unpacked_bytes=5_000_000), "is larger than 4.77 MB when it is unpacked, which is the limit"),
        (Limits(ratio=20, any_ratio_bytes=1_000_000), "more than 20 times as large .*: it seems to be made"),
        (Limits(free_bytes=1 << 60), "the disk of the drops has .* free, and .* are needed"),
    ],
)
def test_limits_are_named(source, tmp_path, limits, expected):  # noqa: F811
    write_as("PAYMENTS.csv.gz", gzip.compress(HEADER + ROW * 300_000))(source)
    with pytest.raises(UserError, match=expected):
        receive_delivery(source, tmp_path / "copy", {}, follow_links=False, limits=limits)
    assert not (tmp_path / "copy").exists()
