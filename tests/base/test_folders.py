"""Every folder of the library says what it is for, and imports only the folders that it may."""

import ast
import re
from pathlib import Path

import pytest
from conftest import ROOT
from imports import imported_names

LIBRARY = ROOT / "scripts" / "churn"
FOLDERS = sorted({file.parent for file in LIBRARY.rglob("*.py")} - {LIBRARY})


def folder_name(path: Path) -> str:
    return str(path.relative_to(LIBRARY))


def may_import(folder: Path) -> set[str]:
    """Return the folders that the docstring of `__init__.py` allows; a folder without a rule inherits its parent's."""
    while not (found := re.search(r"^May import: (.*)\.$", docstring(folder), re.M)):
        folder = folder.parent
    return set() if found[1] == "nothing" else set(found[1].split(", "))


def docstring(folder: Path) -> str:
    return ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""


def imported_folders(file: Path) -> set[str]:
    """Return the innermost folders of the library that a file imports."""
    names = {name for name in imported_names(ast.parse(file.read_text())) if name.startswith("churn.")}
    parts = [name.split(".")[1:] for name in names]
    known = {folder_name(folder) for folder in FOLDERS}
    return {max((folder for folder in known if "/".join(part).startswith(folder)), key=len) for part in parts}


@pytest.mark.parametrize("folder", FOLDERS, ids=folder_name)
def test_a_folder_says_what_it_is_for_and_imports_only_what_it_may(folder):
    assert docstring(folder)
    own, allowed = folder_name(folder), may_import(folder)
    for file in folder.glob("*.py"):
        for other in imported_folders(file) - {own}:
            same = other.startswith(f"{own}/") or own.startswith(f"{other}/")
            assert same or other.partition("/")[0] in allowed or other in allowed, (
                f"scripts/churn/{own} may not import scripts/churn/{other}, as {file.relative_to(ROOT)} does; "
                f"it may import: {', '.join(sorted(allowed)) or 'nothing'}"
            )


def test_the_rules_allow_no_cycle():
    allowed = {folder_name(folder).partition("/")[0]: set() for folder in FOLDERS}
    for folder in FOLDERS:
        top = folder_name(folder).partition("/")[0]
        allowed[top] |= {other.partition("/")[0] for other in may_import(folder)} - {top}
    while allowed:
        free = {name for name, others in allowed.items() if not others & allowed.keys()}
        assert free, f"import cycle among {sorted(allowed)}"
        allowed = {name: others for name, others in allowed.items() if name not in free}


def test_no_script_imports_a_script():
    scripts = [*(ROOT / "scripts").glob("*.py"), *(ROOT / "scripts" / "tools").glob("*.py")]
    names = {file.stem for file in scripts}
    for file in scripts:
        imported = {name.partition(".")[0] for name in imported_names(ast.parse(file.read_text()))}
        assert not imported & {*names, "tools"}, f"{file.relative_to(ROOT)} imports another script"


def test_every_tool_has_a_make_target_of_the_same_name():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    tools = {file.stem for file in (ROOT / "scripts" / "tools").glob("[!_]*.py")}
    assert tools and {tool.replace("_", "-") for tool in tools} <= targets


def test_no_file_is_longer_than_three_hundred_lines():
    files = [
        *ROOT.glob("scripts/**/*.py"),
        *ROOT.glob("workflow/**/*.py"),
        *ROOT.glob("workflow/rules/*"),
        *ROOT.glob("tests/**/*.py"),
        *ROOT.glob("benchmarks/*.py"),
    ]
    assert not [str(file.relative_to(ROOT)) for file in files if len(file.read_text().splitlines()) > 300]
