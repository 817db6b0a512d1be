"""A user's own folders: deliveries made of links, and what editors leave beside the files of a drop."""

import os
import shutil
import subprocess
import sys
from datetime import datetime

import pytest
from conftest import ENVIRONMENT, ROOT
from delivery_rules import RULES
from test_ingest_drop import repository, source, write_payments  # noqa: F401
from test_ingest_inbox import TEN_MINUTES, deliver, inbox, listed, look, names_in  # noqa: F401

from churn.base.command import UserError
from churn.data.contract import FILES
from churn.deliveries.file_names import LEFTOVERS
from churn.deliveries.ingest import ingest_drop


def test_a_user_may_ingest_links_but_no_device(source, repository, tmp_path):  # noqa: F811
    own = tmp_path / "own"
    own.mkdir()
    for name in FILES:
        (own / name).symlink_to(source / name)
    (tmp_path / "link").symlink_to(own)
    places = (repository / "data/raw", repository / "data/drops.yaml", None, False, datetime(2026, 11, 1).date(), RULES)
    assert str(ingest_drop(tmp_path / "link", *places)) == "2026-03-08"
    assert not any(path.is_symlink() for path in (repository / "data/raw/2026-03-08").iterdir())
    (own / "PAYMENTS.csv").unlink()
    (own / "PAYMENTS.csv").symlink_to("/dev/zero")
    with pytest.raises(UserError, match=r"PAYMENTS.csv is a device"):
        ingest_drop(own, *places)
    (own / "PAYMENTS.csv").unlink()
    os.mkfifo(own / "PAYMENTS.csv")
    with pytest.raises(UserError, match=r"PAYMENTS.csv is a FIFO"):
        ingest_drop(own, *places)


def test_what_editors_and_file_managers_leave_in_a_drop_changes_nothing(source, repository, capsys):  # noqa: F811
    shutil.copy(ROOT / ".dvcignore", repository)
    places = (repository / "data/raw", repository / "data/drops.yaml", None, False, datetime(2026, 11, 1).date(), RULES)
    drop = repository / "data/raw" / str(ingest_drop(source, *places))
    names = (".DS_Store", "Thumbs.db", "PAYMENTS.csv~", ".PAYMENTS.csv.swp", "._PAYMENTS.csv", "#PAYMENTS.csv#")
    for name in names:
        (drop / name).write_text("left")
    (drop / ".#PAYMENTS.csv").symlink_to("me@here.123")
    ingest_drop(source, *places)
    assert "nothing to do" in capsys.readouterr().out
    status = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json", f"{drop}.dvc"],
        cwd=repository,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert status.stdout.strip() == "{}"


def test_dvc_ignores_what_the_checks_ignore():
    assert set(LEFTOVERS) <= set((ROOT / ".dvcignore").read_text().splitlines())
