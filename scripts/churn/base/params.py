"""Read params.yaml and validate it: the schema is closed, so an unknown key or a wrong value is an error.

Other YAML files that users write are validated in the same way.
"""

from pathlib import Path
from typing import Any

import jsonschema
import yaml

from churn.base.command import UserError, suggest
from churn.base.yaml_files import read_yaml, shorten

SCHEMAS = Path(__file__).parents[3] / "workflow" / "schemas"
SCHEMA = SCHEMAS / "params.schema.yaml"
MAX_ERRORS = 10


def read_params(path: Path) -> dict[str, Any]:
    """Return params.yaml, validated.

    Raises
    ------
    UserError
        When the file is missing, is not valid YAML, or breaks the schema.
    """
    params: dict[str, Any] = read_validated(path, SCHEMA)
    return params


def read_validated(path: Path, schema: Path) -> Any:
    """Return the content of a YAML file that follows a JSON schema.

    Raises
    ------
    UserError
        When the file is missing, is not a regular file, is too large, is not valid YAML, or breaks the schema.
    """
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing. Run this in the repository's folder, or restore the file: git checkout {path}"
        ) from None
    validator = jsonschema.Draft202012Validator(
        yaml.safe_load(schema.read_text()), format_checker=jsonschema.FormatChecker()
    )
    errors = sorted(validator.iter_errors(content), key=lambda error: list(map(str, error.absolute_path)))
    if errors:
        raise UserError("\n".join(f"{path}: {_explain(error)}" for error in errors[:MAX_ERRORS]))
    return content


def read_section(path: Path, section: str) -> dict[str, Any]:
    """Return one stage's section of params.yaml, after validating the whole file."""
    content: dict[str, Any] = read_params(path)[section]
    return content


def _explain(error: jsonschema.ValidationError) -> str:
    where = ".".join(map(str, error.absolute_path)) or "the file"
    schema: Any = error.schema
    if error.validator == "additionalProperties":
        known = list(schema["properties"])
        section: Any = error.instance
        unknown = [key for key in section if key not in known]
        return f"{where}: unknown key {shorten(repr(unknown[0]))}. {suggest(str(unknown[0]), known)}"
    if error.validator == "required":
        return f"{where}: {shorten(error.message)}. Add it, as this version has it: docs/guides/upgrade.md."
    meaning = schema.get("description")
    return f"{where}: {shorten(error.message)}." + (f" Meaning: {meaning}" if meaning else "")
