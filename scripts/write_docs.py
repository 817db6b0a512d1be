"""Write the pages of docs/ that the code itself knows best.

Reads
    churn.contract
Writes
    docs/columns.md: every column of the five CSVs
"""

import argparse
from pathlib import Path

from churn.command import run_command
from churn.contract import FILES, FIRST_DAY, TYPES, Column
from churn.files import write_whole

INTRODUCTION = """# The columns of a drop

`make docs` writes this page from [`scripts/churn/contract.py`](../scripts/churn/contract.py), which also makes the
readers and the checks.

Columns may come in any order; blanks around a value, a byte order mark, CRLF and quoted fields are read. A row that
breaks a rule below goes to `*_rejects.parquet` with its line, the column and the reason. A user who stands in a user
file more than once is rejected there in every copy. What becomes of columns that are not listed, and of payments that
are equal in every column, `params.yaml` says.
"""


def write_docs(docs: Path) -> None:
    """Write the pages.

    Parameters
    ----------
    docs : Path
        The folder to write to.
    """
    with write_whole(docs / "columns.md") as path:
        path.write_text("\n".join([INTRODUCTION, *(line for name in FILES for line in describe_file(name))]))


def describe_file(name: str) -> list[str]:
    """Return a heading and a table of a file's columns."""
    rows = [
        f"| `{column}` | {spec.meaning} | {TYPES[spec.type].told} | {spec.unit} | {describe_rules(spec)} |"
        for column, spec in FILES[name].items()
    ]
    return [f"## {name}", "", "| column | meaning | it is | unit | rules |", "|---|---|---|---|---|", *rows, ""]


def describe_rules(spec: Column) -> str:
    """Tell what a value must be beyond its type."""
    rules = ["never empty"] if spec.required else []
    if spec.above_zero:
        rules.append("above 0")
    if spec.minimum is not None:
        rules.append(f"at least {spec.minimum}")
    if spec.maximum is not None:
        rules.append(f"at most {spec.maximum}")
    if spec.allowed:
        spellings = [f"{alias} is read as {value}" for alias, value in spec.aliases.items()]
        rules.append("; ".join([f"one of {', '.join(spec.allowed)}, in any case", *spellings]))
    if spec.type == "date":
        rules.append(f"from {FIRST_DAY} to the drop's date")
    return "; ".join(rules)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder to write to; default: docs")
    write_docs(parser.parse_args().docs)


if __name__ == "__main__":
    run_command(main)
