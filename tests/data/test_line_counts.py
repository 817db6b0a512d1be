"""Lines that were written to fill the memory, or to take hours, give the same answer as others, at once."""

import tracemalloc

import numpy as np
import pytest

from churn.data import records
from churn.data.line_counts import WINDOW, count_in_lines
from churn.data.records import find_records


def ends_of(text: bytes) -> np.ndarray:
    return np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == records.NEWLINE)


def test_counts_are_those_of_each_line():
    random = np.random.default_rng(1)
    text = bytes(random.choice(np.frombuffer(b",,a\n", dtype=np.uint8), 3 * WINDOW)) + b"\n"
    counts = count_in_lines(text, ends_of(text), ",")
    assert counts.tolist() == [line.count(b",") for line in text.split(b"\n")[:-1]]


def test_a_long_line_of_delimiters_needs_little_memory():
    text = b"," * (20 << 20) + b"\n"
    tracemalloc.start()
    assert count_in_lines(text, ends_of(text), ",").tolist() == [20 << 20]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20


@pytest.mark.parametrize(("line", "check_all"), [(b'"\n', False), (b'""x,1\n', True)])
def test_many_open_quotes_are_found_without_a_look_into_each(monkeypatch, line, check_all):
    text = b"1,2,3\n" + line * 3_000
    slow = find_records(text, 3, ",", '"', check_all)
    looks: list[bytes] = []
    count = records.count_fields
    monkeypatch.setattr(records, "count_fields", lambda record, *rest: looks.append(record) or count(record, *rest))
    monkeypatch.setattr(records, "MAX_OPEN", 100)
    fast = find_records(text, 3, ",", '"', check_all)
    assert fast.excluded.tolist() == slow.excluded.tolist() == list(range(1, 3_001)) and len(looks) < 500
    assert (fast.reasons == slow.reasons).all()


@pytest.mark.parametrize("line", [b"x,y\n", b"1,2,3,4\n"])
def test_many_malformed_rows_after_good_ones_are_not_left_to_duckdb(monkeypatch, line):
    monkeypatch.setattr(records, "MAX_MALFORMED", 100)
    text = b"1,2,3\n" * records.SAMPLE_BYTES + line * 400
    assert len(find_records(text, 3, ",", '"').excluded) == 400
    assert len(find_records(text[: -300 * len(line)], 3, ",", '"').excluded) == 0
