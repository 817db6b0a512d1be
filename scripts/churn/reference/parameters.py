"""What docs/parameters.md says of each parameter: its default, what may stand there, its meaning, what reruns."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

TYPES = {"number": "a number", "integer": "a whole number", "string": "text", "boolean": "`true` or `false`"}
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}

HEADER = """# The parameters

`make docs` writes this page from [`params.yaml`](../../params.yaml) and its
[schema](../../workflow/schemas/params.schema.yaml). The schema is closed: an unknown key or a wrong value stops the run
before it begins, and the message names the key, its value and what may stand there.

Edit the file, or try a value without editing it: `dvc exp run -S train_model.folds=5`
([experiments](../guides/experiments.md)).
The last column names the steps that read a parameter. They run when its value changes, and after them whatever reads
bytes that became different. A comment or the order of lines changes nothing. What belongs to one machine or to a
server (addresses, logins) is no parameter: it stands in `.env`, see [the stack](../guides/stack.md).

"""


@dataclass(frozen=True)
class Parameter:
    """A leaf of params.yaml."""

    name: str
    default: object
    schema: dict
    meaning: str


@dataclass(frozen=True)
class Sources:
    """What the page is made from.

    Attributes
    ----------
    params, schema : dict
        params.yaml and its schema.
    stages : dict
        Section `stages` of dvc.yaml.
    steps : set of str
        Names of the rules that no stage has.
    notes : dict
        What a comment beside a section's name in params.yaml says.
    """

    params: dict
    schema: dict
    stages: dict
    steps: set[str]
    notes: dict[str, str]


def write_parameters(root: Path) -> str:
    """Return the page, from the files of a repository."""
    return HEADER + "".join(describe_parameters(read_sources(root))).removesuffix("\n")


def read_sources(root: Path) -> Sources:
    """Read them from the repository's folder."""
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
    """Yield the lines of a table for each section of params.yaml, those of a single value together."""
    single = [name for name, value in sources.params.items() if not isinstance(value, dict)]
    sections = {"Above the sections": single} | {name: [name] for name in sources.params if name not in single}
    for title, names in sections.items():
        note = sources.notes.get(title)
        yield f"## {title}\n\n" + (f"{note[0].upper()}{note[1:]}.\n\n" if note else "")
        yield "| parameter | default | what may stand there | what it means | what reruns |\n|---|---|---|---|---|\n"
        for name in names:
            for parameter in find_parameters(name, sources.params[name], sources.schema["properties"][name], sources):
                yield describe_parameter(parameter, sources)
        yield "\n"


def find_parameters(name: str, value: object, schema: dict, sources: Sources, meaning: str = "") -> Iterator[Parameter]:
    """Yield the leaves below a value; keys that the schema leaves free are leaves, with the meaning of their parent."""
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


def describe_parameter(parameter: Parameter, sources: Sources) -> str:
    """Return the parameter's row."""
    cells = (
        code(parameter.name),
        describe_default(parameter.default),
        describe_allowed(parameter.schema, sources),
        parameter.meaning.replace("|", "&#124;"),
        describe_reruns(parameter.name, sources),
    )
    return f"| {' | '.join(cells)} |\n"


def describe_default(value: object) -> str:
    """Return a value as it stands in params.yaml."""
    if isinstance(value, dict) and value:
        return ", ".join(code(f"{key}: {flow(item)}") for key, item in value.items())
    return code(flow(value))


def describe_allowed(schema: dict, sources: Sources) -> str:
    """Tell in words what a schema allows."""
    schema = resolve(schema, sources)
    if "enum" in schema:
        return ", ".join(code(flow(value)) for value in schema["enum"])
    if "const" in schema:
        return code(flow(schema["const"]))
    if "oneOf" in schema:
        return ", or ".join(describe_allowed(one, sources) for one in schema["oneOf"])
    kind = schema.get("type")
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
    """Name the stages, or else the release step, that read a parameter."""
    stages = [
        stage
        for stage, definition in sources.stages.items()
        if any(name == read or name.startswith(f"{read}.") for read in definition.get("do", definition)["params"])
    ]
    section = name.partition(".")[0]
    return ", ".join(code(step) for step in stages or sources.steps & {section}) or "nothing"


def resolve(schema: dict, sources: Sources) -> dict:
    """Follow a reference to the schema's definitions; what stands beside it wins."""
    reference = schema.get("$ref")
    return sources.schema["$defs"][reference.rpartition("/")[2]] | schema if reference else schema


def flow(value: object) -> str:
    """Return a value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n").removesuffix("\n...")


def code(text: str) -> str:
    """Return text as code that may stand in a table."""
    return f"<code>{text.replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"
