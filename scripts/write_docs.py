"""Write the pages of docs/ that the code itself knows best.

Reads
    churn.contract, churn.features; params.yaml, its schema and dvc.yaml of this repository
Writes
    docs/columns.md: every column of the five CSVs
    docs/features.md: every feature
    docs/parameters.md: every parameter
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import ibis.expr.operations as ops

from churn.command import run_command
from churn.contract import FILES, FIRST_DAY, TYPES, Column
from churn.feature_meanings import describe_categories, describe_payments, describe_users
from churn.files import write_whole
from churn.parameter_docs import describe_parameters, read_sources

ROOT = Path(__file__).parents[1]
COLUMNS = """# The columns of a drop

`make docs` writes this page from [`scripts/churn/contract.py`](../scripts/churn/contract.py), which also makes the
readers and the checks.

Columns may come in any order; blanks around a value, a byte order mark, CRLF and quoted fields are read. A row that
breaks a rule below goes to `*_rejects.parquet` with its line, the column and the reason. A user who stands in a user
file more than once is rejected there in every copy. What becomes of columns that are not listed, and of payments that
are equal in every column, `params.yaml` says.
"""

FEATURES = """# The features

`make docs` writes this page from [`scripts/churn/features.py`](../scripts/churn/features.py), where a feature is one
expression and its meaning; nothing else is to be done to add one. The model uses all that are not named in
`train_model.leave_out` and that differ between users; those in `train_model.log_features` are taken as
sign(x) · log(1 + |x|).

Every feature is a number, empty where it is unknown, as of a date: from payments up to that date within
`build_features.lookback_days`, and from what the newest delivery not after it said about the user.

| feature | what it tells | computed from |
|---|---|---|
"""

PARAMETERS = """# The parameters

`make docs` writes this page from [`params.yaml`](../params.yaml) and its
[schema](../workflow/schemas/params.schema.yaml). The schema is closed: an unknown key or a wrong value stops the run
before it begins, and the message names the key, its value and what may stand there.

Edit the file, or try a value without editing it: `dvc exp run -S train_model.folds=5` ([experiments](experiments.md)).
The last column names the steps that read a parameter. They run when its value changes, and after them whatever reads
bytes that became different. A comment or the order of lines changes nothing. What belongs to one machine or to a
server (addresses, logins) is no parameter: it stands in `.env`, see [the stack](stack.md).

"""


def write_docs(docs: Path) -> None:
    """Write the pages.

    Parameters
    ----------
    docs : Path
        The folder to write to.
    """
    columns = "\n".join([COLUMNS, *(line for name in FILES for line in describe_file(name))])
    parameters = PARAMETERS + "".join(describe_parameters(read_sources(ROOT))).removesuffix("\n")
    features = FEATURES + "".join(describe_features())
    for name, text in {"columns": columns, "features": features, "parameters": parameters}.items():
        with write_whole(docs / f"{name}.md") as path:
            path.write_text(text)


def describe_features() -> Iterator[str]:
    """Yield a row of the table for each feature."""
    for name, feature in (describe_payments() | describe_users() | describe_categories()).items():
        fields = {field.name for field in feature.value.op().find(ops.Field)}
        columns = sorted("FECHA" if field == "days_ago" else field for field in fields)
        yield f"| `{name}` | {feature.meaning} | {', '.join(f'`{column}`' for column in columns)} |\n"


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
