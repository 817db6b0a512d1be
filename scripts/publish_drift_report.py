"""Publish the newest drop's drift report, unless the same bytes are already published.

Reads
    reports/drift/<drop>.html; DRIFT_REPORT_URI: a folder, file:// or s3:// (default: drift-reports)
Writes
    <DRIFT_REPORT_URI>/<drop>.html, unless it is already there
    publish_drift_report.json: drop, uri, sha256
"""

import argparse
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from churn.base.addresses import hide_logins
from churn.base.command import UserError, run_command
from churn.base.files import write_json
from churn.base.reading import read_json

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

DEFAULT_URI = "drift-reports"


def publish_drift_report(report: Path, receipt: Path) -> None:
    """Publish the report unless the same bytes are already there, and write the receipt.

    Raises
    ------
    UserError
        When there is no report, or the address is wrong, forbidden or does not answer.
    """
    page = find_page(report)
    uri = name_page(page.name)
    # Logins in the address are not shown or stored.
    shown = hide_logins(uri)
    if uri.startswith(("s3:", "s3a:")) and uri != shown:
        # S3's library would repeat it as part of a bucket's name.
        raise UserError(
            "DRIFT_REPORT_URI has a login in it, which an address of S3 cannot have. Set it to "
            f"{hide_logins(report_uri())}, and the login in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; then run "
            "again."
        )
    content = page.read_bytes()
    try:
        uploaded = put_once(content, uri)
    except Exception as error:  # each storage library raises its own errors
        reason = hide_logins(f"{type(error).__name__}: {error}".rstrip(": ."))
        raise UserError(
            f"The drift report cannot be published at {shown}: {reason}. Check DRIFT_REPORT_URI (a folder, or "
            "s3://bucket/prefix), its permissions, and for S3 the AWS_* variables; then run again."
        ) from error
    write_json({"drop": page.stem, "uri": shown, "sha256": hashlib.sha256(content).hexdigest()}, receipt, durable=True)
    print(f"{shown}: {'published' if uploaded else 'already there'}")


def find_page(report: Path) -> Path:
    """Return the only page in the report's folder."""
    pages = sorted(report.glob("*.html"))
    if len(pages) != 1:
        found = ", ".join(page.name for page in pages) or "none"
        raise UserError(f"{report} must contain one HTML page; found: {found}. Run: dvc repro detect_drift")
    return pages[0]


def report_uri() -> str:
    """Return DRIFT_REPORT_URI, by default a folder in the repository."""
    return os.environ.get("DRIFT_REPORT_URI") or DEFAULT_URI


def name_page(name: str) -> str:
    """Return the address of a page in DRIFT_REPORT_URI, with the login if there is one."""
    return f"{report_uri().rstrip('/')}/{name}"


def explain_loss(receipt: Path) -> str:
    """Return that the published report is gone, "" if it is there or its store does not answer.

    Parameters
    ----------
    receipt : Path
        The receipt of its publication.
    """
    if not receipt.exists():
        return ""
    import fsspec

    content = read_json(receipt)
    shown, uri = content["uri"], name_page(f"{content['drop']}.html")
    # The receipt has the address without its login; if it names another place, the rule has other settings anyway.
    uri = uri if hide_logins(uri) == shown else shown
    # Asked at the start of each run, which must not wait for a store that is down.
    timeouts = {"connect_timeout": 3, "read_timeout": 3, "retries": {"max_attempts": 1}}
    impatient = {"config_kwargs": timeouts} if uri.startswith("s3:") else {}
    try:
        fs, path = fsspec.url_to_fs(uri, **impatient)
        return "" if fs.exists(path) else f"{shown} is gone"
    # Each storage library raises its own errors; the next publication will name what is wrong.
    except Exception:
        return ""


def put_once(content: bytes, uri: str) -> bool:
    """Write `content` to `uri` unless it is already there; return whether it was written."""
    import fsspec

    fs, path = fsspec.url_to_fs(uri)
    if fs.exists(path) and hashlib.sha256(fs.cat_file(path)).digest() == hashlib.sha256(content).digest():
        return False
    write(fs, path, content)
    return True


def write(fs: "AbstractFileSystem", path: str, content: bytes) -> None:
    """Write the whole file or nothing; on S3 with the content type of a web page."""
    if "s3" in fs.protocol:
        fs.pipe_file(path, content, ContentType="text/html; charset=utf-8")
        return
    made = list_missing(path) if "file" in fs.protocol else []
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    with fs.transaction, fs.open(path, "wb") as file:
        file.write(content)
    if made and not Path(path).resolve().is_relative_to(Path.cwd().resolve()):
        # Who can read the folder, such as a web server, can read the report, whatever the umask.
        rights = made[0].parent.stat().st_mode
        for folder in made[:-1]:
            folder.chmod(0o700 | rights & 0o055)
        made[-1].chmod(0o600 | rights & 0o044)


def list_missing(path: str) -> list[Path]:
    """Return the folders that a file still needs, outermost first, and the file itself."""
    file = Path(path).absolute()
    return [*(folder for folder in reversed(file.parents) if not folder.exists()), file]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", type=Path, required=True, help="folder with the drift report")
    parser.add_argument("--receipt", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args()
    publish_drift_report(args.report, args.receipt)


if __name__ == "__main__":
    run_command(main)
