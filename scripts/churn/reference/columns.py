"""docs/reference/columns.md: every column of the five CSVs, from the contract."""

from churn.base.markdown import write_table
from churn.data.contract import FILES, FIRST_DAY, TYPES, Column

HEADER = """# Columns of a drop

`make docs` generates this page from the contract,
[`scripts/churn/data/contract.py`](../../scripts/churn/data/contract.py). The readers and the checks use the same
contract.

The columns may be in any order, and their names in any case. A value that breaks a rule below becomes null; where the
column may not be empty, the row is rejected. Both are in `*_rejects.parquet`, with the line, the column and the reason.
If a user appears in different rows of a user file, each of them is rejected: we cannot know which one is right. Of
equal rows, one is kept. `params.yaml` sets what happens to unknown columns and to payments that are identical in every
column.
Files that are written in another way: [dialects](../guides/dialects.md).
"""


def write_columns() -> str:
    """Return the page."""
    return "\n".join([HEADER, *(line for name in FILES for line in describe_file(name))])


def describe_file(name: str) -> list[str]:
    """Return a heading and the table of a file's columns."""
    rows = [
        (f"`{column}`", spec.meaning, TYPES[spec.type].expected, spec.unit, describe_rules(spec))
        for column, spec in FILES[name].items()
    ]
    return [f"## {name}", "", write_table(("column", "meaning", "type", "unit", "rules"), rows), ""]


def describe_rules(spec: Column) -> str:
    """Return the rules for a value besides its type."""
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
        late = "" if spec.required else "; up to 3 days later is read as that date"
        rules.append(f"from {FIRST_DAY} to the drop's date{late}")
    return "; ".join(rules)
