"""docs/reference/mapping.md: every key of data/mapping.yaml, from its schema."""

from typing import Any

import yaml

from churn.base.markdown import write_table
from churn.data.mapping import NULLS, SCHEMA, Dialect

HEADER = """# Keys of data/mapping.yaml

`make docs` generates this page from the [schema](../../workflow/schemas/mapping.schema.yaml), which is closed: an
unknown key or an invalid value stops the command and names it. [How to use it](../guides/dialects.md).
"""
ALL_FILES, ONE_FILE = "all files, or one", "one"
DEFAULTS = {
    "encoding": f"`{Dialect.encoding}`",
    "delimiter": f"`{Dialect.delimiter}`",
    "quote": f"`{Dialect.quote}`",
    "decimal": f"`{Dialect.decimal}`",
    "thousands": "not stated",
    "dates": "`%Y-%m-%d`",
    "nulls": ", ".join(f"`{null}`" for null in NULLS),
    "user_id": f"`{Dialect.user_id}`",
    "discount": f"`{Dialect.discount}`",
    "refunds": f"`{Dialect.refunds}`",
    "name": "the name of the contract, in any case",
}


def write_mapping() -> str:
    """Return the page."""
    schema = yaml.safe_load(SCHEMA.read_text())
    dialect, file = schema["$defs"]["dialect"], schema["$defs"]["file"]["properties"]
    rows = [
        _row(key, "all files", spec) for key, spec in schema["properties"].items() if key not in (*dialect, "files")
    ]
    rows += [_row(key, ALL_FILES, spec) for key, spec in dialect.items()]
    rows += [_row(f"files.<file>.{key}", ONE_FILE, spec) for key, spec in file.items() if key not in dialect]
    return f"{HEADER}\n{write_table(('key', 'of', 'meaning', 'values', 'default'), rows)}\n"


def _row(key: str, of: str, spec: dict[str, Any]) -> tuple[str, ...]:
    values = ", ".join(f"`{value!r}`" for value in spec.get("enum", []))
    return f"`{key}`", of, spec.get("description", ""), values, DEFAULTS.get(key.rpartition(".")[2], "none")
