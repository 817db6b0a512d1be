"""No value of a row is in an alert, or in the first line of a message: the details are in the log and reason.txt."""

import shutil
from pathlib import Path

import pytest
from conftest import ROOT, run
from deliveries import change, make_files, write_files
from delivery_rules import write_rules

from churn.alerts.failure import explain_failure, first_error, send_failure
from churn.base.drops import write_list
from churn.deliveries.inbox_layout import read_rejected

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
MARKER = "Quintanilla"
COLUMNS = {
    "PAYMENTS": ["FECHA", "CUS_CUST_ID_SEL", "CUS_CUST_ID_BUY", "SPENT", "TPV_SEGMENT_DETAIL", "DESCUENTO"],
    "ACTIVE_USER": ["MAU_MP_1", "last_login_mp_date_1"],
    "DEMOGRAFICOS": ["AGE", "GENDER"],
    "DINERO_CUENTA": ["PLATA_CUENTA_1", "INVERSION"],
    "MARKETPLACE_DATA": ["SPENT_ML", "RECENCY_ML"],
}
FILES, TWO = tuple(COLUMNS), ("PAYMENTS", "DEMOGRAFICOS")


def write_delivery(folder: Path, fault) -> None:
    """Write a delivery with the marker in each row's text, and a fault."""
    files = make_files()
    change(files, "DEMOGRAFICOS", "CITY", lambda *_: MARKER)
    change(files, "DEMOGRAFICOS", "CARD_TYPE", lambda *_: MARKER)
    change(files, "PAYMENTS", "TPV_SEGMENT_DETAIL", lambda *_: MARKER)
    write_files(folder, files)
    fault(folder, files)
    (folder / "_READY").touch()


def without_header(name):
    def fault(folder, files):
        rows = [[*row[:-1], MARKER] for row in files[name][1:]]
        write_files(folder, {name: rows})

    return fault


def open_quote(name, line):
    def fault(folder, files):
        path = folder / f"{name}.csv"
        lines = path.read_text().splitlines()
        lines[line] = lines[line] + ',"x'
        lines[line + 1] = f"{MARKER},{lines[line + 1]}"
        path.write_text("\n".join(lines) + "\n")

    return fault


def wrong_values(name, column):
    def fault(folder, files):
        change(files, name, column, lambda *_: f"{MARKER} 1,2")
        write_files(folder, files)

    return fault


def rewrite(name, how):
    def fault(folder, files):
        path = folder / f"{name}.csv"
        path.write_bytes(how(path.read_bytes()))

    return fault


def add_to_rows(text: bytes, end: bytes) -> bytes:
    header, *rows = text.splitlines()
    return b"\n".join([header, *(row + end for row in rows), b""])


FAULTS = {
    **{f"header-{name}": without_header(name) for name in FILES},
    **{f"quote-{name}-{line}": open_quote(name, line) for name in TWO for line in (0, 3)},
    **{f"value-{column}": wrong_values(name, column) for name, columns in COLUMNS.items() for column in columns},
    **{f"semicolon-{name}": rewrite(name, lambda text: text.replace(b",", b";")) for name in TWO},
    **{f"long-{name}": rewrite(name, lambda text: add_to_rows(text, f",{MARKER},{MARKER}".encode())) for name in TWO},
    **{
        f"latin-{name}": rewrite(name, lambda text: add_to_rows(text, f"{MARKER}\xe9".encode("latin-1")))
        for name in TWO
    },
    **{f"cut-{name}": rewrite(name, lambda text: text[:-4] + f"\n{MARKER}".encode()) for name in TWO},
    **{f"wide-{name}": rewrite(name, lambda text: text.decode().encode("utf-16")) for name in TWO},
    **{f"one-line-{name}": rewrite(name, lambda text: text.replace(b"\n", b"")) for name in TWO},
}


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    """A repository whose inbox had a delivery with each fault, and what looking into it printed."""
    root = tmp_path_factory.mktemp("marked")
    (root / ".dvc").mkdir()
    (root / ".dvc/config").touch()
    run("git", "init", "--quiet", cwd=root)
    write_list(root / "data/drops.yaml", "none", [])
    write_rules(root)
    for name, fault in FAULTS.items():
        write_delivery(root / "inbox" / name, fault)
    done = run("python", ROOT / "scripts", "inbox", cwd=root, fails=True)
    return root, done.stdout + done.stderr


def test_no_first_line_has_a_value(looked):
    root, printed = looked
    reasons = read_rejected(root / "inbox")
    assert len(reasons) > 0.6 * len(FAULTS)
    assert not {name: reason for name, reason in reasons.items() if MARKER in reason}
    assert MARKER not in printed
    details = [path.read_text() for path in (root / "inbox/rejected").glob("*/reason.txt")]
    assert sum(MARKER in text for text in details) > 5, "the sender is shown the values"


def test_no_alert_has_a_value(looked, web, monkeypatch, tmp_path):
    root, printed = looked
    monkeypatch.setenv("CHURN_NOTIFY_URLS", web.url)
    monkeypatch.chdir(shutil.copytree(root, tmp_path / "copy", ignore=shutil.ignore_patterns("inbox")))
    logs = []
    for path in sorted((root / "inbox/rejected").glob("*/reason.txt")):
        logs.append(tmp_path / f"{path.parent.name}.log")
        logs[-1].write_text(f"{MARKER} is read\nERROR: {path.read_text()}")
    (tmp_path / "traceback.log").write_text(
        f"Traceback (most recent call last):\nValueError: '{MARKER}'\nERROR {MARKER}\n"
    )
    send_failure(
        [
            ("inbox", first_error(printed)),
            *((log.stem, explain_failure([log])) for log in [*logs, tmp_path / "traceback.log"]),
        ]
    )
    (message,) = web.messages
    assert MARKER not in str(message)
    assert message["message"].count("ERROR: ") >= len(logs)
    assert "it ended without a clear message" in message["message"]
