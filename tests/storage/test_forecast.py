"""`make run` says when the disk will be full within a month, at the rate of the newest drop."""

import shutil
from collections import namedtuple
from datetime import date

import pytest

from churn.base.drops import write_list
from churn.storage.forecast import warn_of_full_disk

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def folder(tmp_path):
    """Weekly drops of 2 MB each, without links into DVC's cache."""
    write_list(tmp_path / "data/drops.yaml", "own", [date(2026, 1, day) for day in (4, 11, 18)])
    raw = tmp_path / "data/raw/2026-01-18"
    raw.mkdir(parents=True)
    (raw / "PAYMENTS.csv").write_bytes(bytes(2_000_000))
    return tmp_path


def warn(folder, monkeypatch, free):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    return warn_of_full_disk(folder)


def test_a_disk_that_lasts_a_month_is_not_mentioned(folder, monkeypatch):
    # 2 MB in the workspace and 2 MB in the cache, every 7 days: 17.2 MB in 30 days.
    assert warn(folder, monkeypatch, 17_200_000) == []
    (said,) = warn(folder, monkeypatch, 12_100_000)
    assert "full in 21 days" in said and "make prune KEEP=26" in said


def test_what_is_linked_into_the_cache_counts_once(folder, monkeypatch):
    payments = folder / "data/raw/2026-01-18/PAYMENTS.csv"
    (folder / "cache").hardlink_to(payments)
    assert warn(folder, monkeypatch, 12_000_000) == []


def test_without_a_rate_nothing_is_said(tmp_path):
    assert warn_of_full_disk(tmp_path) == []
    write_list(tmp_path / "data/drops.yaml", "own", [date(2026, 1, 4)])
    assert warn_of_full_disk(tmp_path) == []
