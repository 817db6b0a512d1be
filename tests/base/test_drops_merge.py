"""Two versions of the list of drops merge; what dvc.yaml needs of it follows the drops."""

import sys
from datetime import date

import pytest
import yaml
from conftest import ROOT, call_script, run

from churn.base.command import UserError
from churn.base.drops import merge_lists, read_list, write_list

DAYS = [date(2026, 1, day) for day in (4, 11, 18, 25)]


def write(folder, name, source, *places):
    write_list(folder / "data" / name, source, [DAYS[place] for place in places])
    return folder / "data" / name


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path


def test_both_sides_add_and_one_withdraws(folder):
    base = write(folder, "base", "own", 0, 1)
    ours, theirs = write(folder, "ours", "own", 0, 1, 2), write(folder, "theirs", "own", 1, 3)
    merge_lists(base, ours, theirs)
    assert read_list(ours) == ("own", [DAYS[1], DAYS[2], DAYS[3]])
    content = yaml.safe_load(ours.read_text())
    assert content["previous"] == {"2026-01-11": "start", "2026-01-18": "2026-01-11", "2026-01-25": "2026-01-18"}
    assert content["newest"] == "2026-01-25"


def test_the_demos_drops_and_own_drops_do_not_merge(folder):
    lists = [write(folder, "base", "none"), write(folder, "ours", "demo", 0), write(folder, "theirs", "own", 1)]
    with pytest.raises(UserError, match="One side lists demo drops, the other own drops"):
        merge_lists(*lists)
    run(sys.executable, ROOT / "scripts", "update_drops", "--merge", *lists, cwd=folder, fails=True)
    assert read_list(lists[1]) == ("demo", [DAYS[0]])


def test_a_line_added_by_hand_is_completed(folder):
    listing = write(folder, "drops.yaml", "own", 0, 2)
    text = listing.read_text()
    listing.write_text(text.replace('  - "2026-01-04"\n', '  - "2026-01-11"\n  - "2026-01-04"\n'))
    call_script("update_drops", cwd=folder)
    assert yaml.safe_load(listing.read_text())["previous"]["2026-01-18"] == "2026-01-11"
    listing.unlink()
    write(folder, "drops.yaml", "own", 0, 1, 2)
    assert "previous" in listing.read_text()
