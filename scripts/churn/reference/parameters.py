"""docs/reference/parameters.md: each parameter with its default, allowed values, meaning, and the steps that rerun."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from churn.base.markdown import write_table

TYPES = {"number": "a number", "integer": "a whole number", "string": "text", "boolean": "`true` or `false`"}
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
HEAD = ("parameter", "default", "allowed values", "meaning", "what reruns")

HEADER = """# Parameters

`make docs` generates this page from [`params.yaml`](../../params.yaml) and its
[schema](../../workflow/schemas/params.schema.yaml). The schema is closed: an unknown key or an invalid value stops the
run before it starts, and the message names the key, its value and the allowed values.

Edit the file, or try a value without editing it: `dvc exp run -S train_model.folds=5`
([experiments](../guides/experiments.md)). The last column names the steps that read the parameter. When its value
changes, they rerun, and so do later steps whose inputs changed. Comments and the order of lines do not matter.
Settings of a machine or a server (addresses, logins) are not parameters: they are in `.env`
([servers](../guides/stack.md#how-commands-find-the-servers)).

"""


@dataclass(frozen=True)
class Parameter:
    """A leaf of params.yaml."""

    name: str
    default: object
    schema: dict[str, Any]
    meaning: str


@dataclass(frozen=True)
class Sources:
    """The sources of the page.

    Attributes
    ----------
    params, schema : dict[str, Any]
        params.yaml and its schema.
    stages : dict[str, Any]
        Section `stages` of dvc.yaml.
    steps : set of str
        Names of the rules that are not stages.
    notes : dict[str, Any]
        The comments next to the sections' names in params.yaml.
    """

    params: dict[str, Any]
    schema: dict[str, Any]
    stages: dict[str, Any]
    steps: set[str]
    notes: dict[str, str]


def write_parameters(root: Path) -> str:
    """Return the page, from a repository's files."""
    return HEADER + "".join(describe_parameters(read_sources(root))).removesuffix("\n")


def read_sources(root: Path) -> Sources:
    """Read the sources from the repository's folder."""
    text = (root / "params.yaml").read_text()
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    rules = re.findall(r"^rule (\w+):", "".join(path.read_text() for path in (root / "workflow/rules").iterdir()), re.M)
    return Sources(
        params=yaml.safe_load(text),
        schema=yaml.safe_load((root / "workflow/schemas/params.schema.yaml").read_text()),
        stages=stages,
        steps=set(rules) - set(stages),
        notes=dict(re.findall(r"^(\w+): +# (.+)$", text, re.M)),
    )


def describe_parameters(sources: Sources) -> Iterator[str]:
    """Yield the lines of a table for each section of params.yaml, and of one for all single values."""
    single = [name for name, value in sources.params.items() if not isinstance(value, dict)]
    sections = {"Top level": single} | {name: [name] for name in sources.params if name not in single}
    for title, names in sections.items():
        note = sources.notes.get(title)
        yield f"## {title}\n\n" + (f"{note[0].upper()}{note[1:]}.\n\n" if note else "")
        parameters = [
            parameter
            for name in names
            for parameter in find_parameters(name, sources.params[name], sources.schema["properties"][name], sources)
        ]
        yield write_table(HEAD, (describe_parameter(parameter, sources) for parameter in parameters)) + "\n\n"


def find_parameters(
    name: str, value: Any, schema: dict[str, Any], sources: Sources, meaning: str = ""
) -> Iterator[Parameter]:
    """Yield the leaves below a value; keys that the schema does not name are leaves with their parent's meaning."""
    schema = resolve(schema, sources)
    meaning = schema.get("description", meaning)
    if known := schema.get("properties"):
        for key, child in value.items():
            yield from find_parameters(f"{name}.{key}", child, known[key], sources)
    elif isinstance(schema.get("additionalProperties"), dict) and value:
        child = resolve(schema["additionalProperties"], sources)
        for key, item in value.items():
            yield Parameter(f"{name}.{key}", item, child, meaning)
    else:
        yield Parameter(name, value, schema, meaning)


def describe_parameter(parameter: Parameter, sources: Sources) -> tuple[str, ...]:
    """Return the cells of a parameter's row."""
    return (
        code(parameter.name),
        describe_default(parameter.default),
        describe_allowed(parameter.schema, sources),
        parameter.meaning.replace("|", "&#124;"),
        describe_reruns(parameter.name, sources),
    )


def describe_default(value: object) -> str:
    """Return a value as in params.yaml."""
    if isinstance(value, dict) and value:
        return ", ".join(code(f"{key}: {flow(item)}") for key, item in value.items())
    return code(flow(value))


def describe_allowed(schema: dict[str, Any], sources: Sources) -> str:
    """Return in words what a schema allows."""
    schema = resolve(schema, sources)
    if "enum" in schema:
        return ", ".join(code(flow(value)) for value in schema["enum"])
    if "const" in schema:
        return code(flow(schema["const"]))
    if "oneOf" in schema:
        return ", or ".join(describe_allowed(one, sources) for one in schema["oneOf"])
    kind = schema["type"]
    if kind == "null":
        return "`null`"
    if kind == "array":
        few = f" of {schema['minItems']} or more" if "minItems" in schema else ""
        return f"a list{few}, each {describe_allowed(schema['items'], sources)}"
    if kind == "object":
        return f"names, each with {describe_allowed(schema['additionalProperties'], sources)}"
    if schema.get("format") == "date":
        return "a date like `2026-01-04`"
    words = ", ".join(TYPES[one] for one in (kind if isinstance(kind, list) else [kind]))
    bounds = [f"{word} {flow(schema[bound])}" for bound, word in BOUNDS.items() if bound in schema]
    form = f" of the form {code(schema['pattern'])}" if "pattern" in schema else ""
    return ", ".join([words + form, *bounds])


def describe_reruns(name: str, sources: Sources) -> str:
    """Return the stages, or otherwise the release step, that read a parameter."""
    stages = [
        stage
        for stage, definition in sources.stages.items()
        if any(name == read or name.startswith(f"{read}.") for read in definition.get("do", definition)["params"])
    ]
    section = name.partition(".")[0]
    return ", ".join(code(step) for step in stages or sources.steps & {section}) or "nothing"


def resolve(schema: dict[str, Any], sources: Sources) -> dict[str, Any]:
    """Follow a reference to the schema's definitions; keys next to it override them."""
    reference = schema.get("$ref")
    return sources.schema["$defs"][reference.rpartition("/")[2]] | schema if reference else schema


def flow(value: object) -> str:
    """Return a value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n").removesuffix("\n...")


def code(text: str) -> str:
    """Return text as code for a table cell."""
    return f"<code>{text.replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"
