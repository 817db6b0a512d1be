"""docs/reference/columns.md: every column of the five CSVs, from the contract."""

from churn.data.contract import FILES, FIRST_DAY, TYPES, Column

HEADER = """# The columns of a drop

`make docs` writes this page from the contract,
[`scripts/churn/data/contract.py`](../../scripts/churn/data/contract.py), which also makes the readers and checks.

Columns may come in any order; blanks around a value, a byte order mark, CRLF and quoted fields are read. A row that
breaks a rule below goes to `*_rejects.parquet` with its line, the column and the reason. A user who stands in a user
file more than once is rejected there in every copy. What becomes of columns that are not listed, and of payments that
are equal in every column, `params.yaml` says.
"""


def write_columns() -> str:
    """Return the page."""
    return "\n".join([HEADER, *(line for name in FILES for line in describe_file(name))])


def describe_file(name: str) -> list[str]:
    """Return a heading and a table of a file's columns."""
    rows = [
        f"| `{column}` | {spec.meaning} | {TYPES[spec.type].expected} | {spec.unit} | {describe_rules(spec)} |"
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
