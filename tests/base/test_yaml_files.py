"""Settings that were written to harm: one clear message, at once, and no content of another file in it."""

import os
from itertools import pairwise

import pytest

from churn.base.command import UserError
from churn.base.drops import read_list
from churn.base.yaml_files import MAX_BYTES, read_yaml
from churn.data.mapping import read_mapping

SECRET = "root:x:0:0:do-not-read-this"
LETTERS = "abcdefghi"
LAUGHS = "nulls:\n- &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"- &{one} [{', '.join([f'*{before}'] * 9)}]\n" for before, one in pairwise(LETTERS)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LAUGHS, "more than 50,000 values"),
        ("files: &a {PAYMENTS.csv: *a}", "more than 50,000 values"),
        ("nulls: &a [*a]", "more than 50,000 values"),
        ("{a: " * 3000 + "1" + "}" * 3000, "nested too deeply"),
        ("skip: {lines: " + "9" * 5000 + "}", "a number of 5,000 characters"),
        ("skip: {lines: " + "59:" * 2000 + "59}", "a number of 6,002 characters"),
        ("decimal: 2026-02-30", "day is out of range"),
        ("decimal: !!bool perhaps", "has a value that cannot be read"),
        ("decimal: !!timestamp perhaps", "has a value that cannot be read"),
        ("decimal: !!int ''", "has a value that cannot be read"),
        ("!!python/object/apply:os.system ['touch pwned']", "not valid YAML: could not determine a constructor"),
        ("decimal: '\x1b[31m'", "not valid YAML"),
        (b"decimal: '\xe9'", "is not UTF-8 text: byte 11 is wrong. Save it as UTF-8"),
        ("#" * (MAX_BYTES + 1), "larger than 1 MB"),
        ("x" * 9000, "mapping.yaml: the file: 'xxx"),
    ],
)
def test_one_short_message_and_no_traceback(tmp_path, content, message):
    path = tmp_path / "mapping.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        read_mapping(path)
    assert message in str(caught.value) and len(str(caught.value)) < 700


@pytest.mark.parametrize("read", [read_mapping, read_list])
def test_links_and_special_files_are_not_read(tmp_path, read):
    secret, path = tmp_path / "passwd", tmp_path / "settings.yaml"
    secret.write_text(SECRET)
    for target in (secret, "/dev/zero", "settings.yaml", "nowhere"):
        path.symlink_to(target)
        with pytest.raises(UserError, match=r"settings\.yaml cannot be read \(it is a link\)") as caught:
            read(path)
        assert SECRET not in str(caught.value)
        path.unlink()
    for make in os.mkfifo, os.mkdir:
        make(path)
        with pytest.raises(UserError, match="is not a regular file"):
            read(path)
        path.rename(path.with_name(make.__name__))


def test_aliases_that_are_used_twice_are_fine(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: &grid {x: [1, 2]}\nb: *grid\n")
    assert read_yaml(path) == {"a": {"x": [1, 2]}, "b": {"x": [1, 2]}}
    path.write_text("")
    assert read_yaml(path) is None
