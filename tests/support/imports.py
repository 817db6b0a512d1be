"""What a file of the project imports, read from its text."""

import ast
from collections.abc import Iterator
from pathlib import Path

from conftest import ROOT

SCRIPTS = ROOT / "scripts"


def imported_files(script: Path, engine: str) -> set[Path]:
    """Return a script and the library's files that it runs when it runs, as paths from the repository's folder.

    An import inside a function counts, one for type checkers alone does not. What calls `open_engine` also runs the
    engine that params.yaml names. An `__init__.py` that holds a docstring and nothing else does not count.
    """
    found, todo = set(), [script]
    while todo:
        tree = ast.parse(todo.pop().read_text())
        names = set(imported_names(tree))
        if "churn.engines.open_engine" in names:
            names |= {f"churn.engines.{engine}"}
        new = {path for name in names for path in module_files(name)} - found
        found |= new
        todo += new
    code = {path for path in found if len(ast.parse(path.read_text()).body) > 1}
    return {path.relative_to(ROOT) for path in {script, *code} if path.is_relative_to(ROOT)}


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Yield the modules, and the names in modules, that a file imports when it runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        yield from imported_names(node)


def module_files(name: str) -> Iterator[Path]:
    """Yield the files that importing a module of the library runs: its own, and those of the packages around it."""
    parts = name.split(".")
    if parts[0] != "churn":
        return
    for length in range(1, len(parts) + 1):
        path = SCRIPTS.joinpath(*parts[:length])
        yield from (file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists())
