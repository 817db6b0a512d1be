"""What a user gives to make reaches the command as it was written: neither make nor a shell runs any of it."""

import re
import shutil
import subprocess

import pytest
from conftest import ENVIRONMENT, ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
GIVEN, FLAGS = (re.search(rf"^{name} := (.*)", MAKEFILE, re.M)[1].split() for name in ("GIVEN", "FLAGS"))
# Each would make the file `planted`: in make, in a shell, in a shell that has it in quotes, on a line of its own.
HOSTILE = (
    "$(shell touch planted)",
    "$(touch planted)`touch planted`",
    "a; touch planted #",
    'a"; touch planted; "',
    "a'; touch planted; '",
    "a\n\ttouch planted",
)
# Writes what it was called with.
RECORDER = '#!/bin/sh\nprintf "%s\\0" "$@" "${CHURN_ERASE_USER:-}" >> called\n'


def recipes() -> dict[str, str]:
    """Return the recipe of each target."""
    found = re.findall(r"^([a-z-]+):[^\n]*\n((?:\t.*\n|  .*\n)+)", MAKEFILE, re.M)
    return {target: recipe for target, recipe in found if not target.startswith("install")}


def uses(recipe: str) -> list[str]:
    return [name for name in GIVEN if re.search(rf"\$\${name}\b", recipe)]


CASES = [(target, name) for target, recipe in recipes().items() for name in uses(recipe)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The Makefile in a folder whose Python and Snakemake only write what they were called with."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copy(ROOT / "Makefile", folder)
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in "python", "snakemake":
        (folder / ".venv" / "bin" / name).write_text(RECORDER)
        (folder / ".venv" / "bin" / name).chmod(0o755)
    return folder


def make(folder, target: str, **given: str) -> list[str]:
    """Run a target; return what its commands were called with, nothing if it refuses."""
    (folder / "called").unlink(missing_ok=True)
    installed = [part for of in ("", "-test", "-docs", "-notebook") for part in ("--assume-old", f"install{of}")]
    # A user to erase has no default.
    values = [f"{name}={value}" for name, value in ({"USER": "1"} | given).items()]
    done = subprocess.run(["make", "--silent", *installed, target, *values], cwd=folder, env=ENVIRONMENT, check=False)
    assert done.returncode == 0 or target == "test"
    return (folder / "called").read_text().split("\0") if (folder / "called").exists() else []


def test_every_variable_of_a_recipe_is_among_those_given():
    """A new variable is in GIVEN or FLAGS, and recipes name it without its value."""
    text = "".join(recipes().values())
    named = set(re.findall(r"\$\(([A-Z]+)\)", re.sub(r"\$\(if \$\([A-Z]+\),", "", text)))
    assert named <= {"HIDDEN_COLUMNS", "CURDIR", "PYTHON"}, named
    asked = set(re.findall(r"\$\(if \$\(([A-Z]+)\)", text)) | set(re.findall(r"\$\$([A-Z]+)", text))
    assert asked == {*GIVEN, *FLAGS}
    assert set(re.findall(r"\$\$(?:[A-Z]+)", text)) == {f"$${name}" for name in GIVEN}
    assert not re.search(r'(?<!["/])\$\$[A-Z]', text), "in quotes"


@pytest.mark.parametrize(("target", "name"), CASES, ids=[f"{target}-{name}" for target, name in CASES])
def test_nothing_in_a_value_runs(folder, target, name):
    for value in HOSTILE:
        called = make(folder, target, **{name: value})
        assert not (folder / "planted").exists(), value
        if target != "test":
            assert any(value in argument for argument in called), value


def test_nothing_in_a_flag_runs(folder):
    for name in FLAGS:
        target = next(target for target, recipe in recipes().items() if f"$(if $({name})" in recipe)
        assert f"--{name.lower()}" in make(folder, target, **{name: HOSTILE[0], "SOURCE": "x"})
        assert not (folder / "planted").exists()


def test_a_value_of_snakemakes_config_is_quoted_in_its_shell():
    """`make score VERSION=...` ends up in a rule's command."""
    commands = "".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    assert re.findall(r"\{params\.\w+(?!\w|:q\})", commands) == []
    assert "{params.version:q}" in commands
