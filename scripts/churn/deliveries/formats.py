"""Recognise by its first bytes a file that is not the CSV that its name promises."""

ARCHIVE = "Unpack it, and deliver the CSV file that it contains."
SHEET = "Save the sheet as CSV in UTF-8, and deliver that file."
GZIP = b"\x1f\x8b"
ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
# The first bytes, what such a file is, and what to do.
FORMATS = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", SHEET),
    (b"BZh", "packed with bzip2", ARCHIVE),
    (b"\xfd7zXZ\x00", "packed with xz", ARCHIVE),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", ARCHIVE),
    (b"Rar!\x1a\x07", "a RAR archive", ARCHIVE),
    (b"PAR1", "a Parquet file", "Deliver the table as CSV in UTF-8."),
    (b"%PDF-", "a PDF", "Deliver the table as CSV in UTF-8."),
)


def recognize(begin: bytes) -> tuple[str, str]:
    """Return what a file is that begins with these bytes, and what to do; "" for what may be a CSV."""
    if begin.startswith(ZIPS):
        if b"[Content_Types].xml" in begin or b"xl/" in begin:
            return "an Excel workbook (.xlsx)", SHEET
        if b"opendocument.spreadsheet" in begin:
            return "an OpenDocument sheet (.ods)", SHEET
        return "a zip archive", ARCHIVE
    return next(((what, fix) for magic, what, fix in FORMATS if begin.startswith(magic)), ("", ""))


def explain_format(begin: bytes, name: str, is_packed: bool) -> str:
    """Return why a file is not what its name promises and what to do, "" if it may be.

    Parameters
    ----------
    begin : bytes
        The first bytes of the file as delivered.
    name : str
        The name that the file should have, without .gz.
    is_packed : bool
        Whether its name ends in .gz.
    """
    what, fix = recognize(begin)
    if what:
        return f"is {what}, not a CSV{' packed with gzip' if is_packed else ''}. {fix}"
    if begin.startswith(GZIP) and not is_packed:
        return f"is packed with gzip. Name it {name}.gz, or unpack it."
    if begin and not begin.startswith(GZIP) and is_packed:
        return f"is not packed with gzip. Name it {name} if it is a CSV, or pack it again."
    return ""


def explain_content(begin: bytes) -> str:
    """Return why a packed file does not contain a CSV and what to do, "" if it may; `begin` is unpacked."""
    if begin.startswith(GZIP):
        return "is packed with gzip twice. Unpack it once, and deliver that file."
    what, fix = recognize(begin)
    return f"is packed with gzip and contains a file that is {what}, not a CSV. {fix}" if what else ""
