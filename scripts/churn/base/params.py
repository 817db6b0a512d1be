"""Read params.yaml through its closed schema: an unknown key or a wrong value is an error."""

from pathlib import Path

import jsonschema
import yaml

from churn.base.command import UserError, suggest

SCHEMA = Path(__file__).parents[3] / "workflow" / "schemas" / "params.schema.yaml"


def read_params(path: Path) -> dict:
    """Return all of params.yaml, validated.

    Raises
    ------
    UserError
        When the file is missing, is no YAML, or breaks the schema.
    """
    try:
        params = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing. Run this in the repository's folder, or restore it: git checkout {path}"
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    validator = jsonschema.Draft202012Validator(
        yaml.safe_load(SCHEMA.read_text()), format_checker=jsonschema.FormatChecker()
    )
    errors = sorted(validator.iter_errors(params), key=lambda error: list(map(str, error.absolute_path)))
    if errors:
        raise UserError("\n".join(f"{path}: {_explain(error)}" for error in errors))
    return params


def read_section(path: Path, section: str) -> dict:
    """Return one stage's section of params.yaml, after validating the whole file."""
    return read_params(path)[section]


def _explain(error: jsonschema.ValidationError) -> str:
    where = ".".join(map(str, error.absolute_path)) or "the file"
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = [key for key in error.instance if key not in known]
        return f"{where}: unknown key {unknown[0]!r}. {suggest(str(unknown[0]), known)}"
    if error.validator == "required":
        return f"{where}: {error.message}. Restore the line from git."
    meaning = error.schema.get("description")
    return f"{where}: {error.message}." + (f" It is: {meaning}" if meaning else "")
