"""Find actions, images and packages that are not pinned by their content."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from churn.audit.findings import Finding
from churn.base.command import UserError
from churn.base.reading import read_text

UNPINNED = "unpinned"
COMMIT, DIGEST = re.compile(r"@[0-9a-f]{40}$"), re.compile(r"@sha256:[0-9a-f]{64}$")
# Of an action that builds its own image.
BUILT = ("Dockerfile", "")
REQUIREMENT = re.compile(r"^[A-Za-z0-9][\w.-]*(?:\[[^\]]*\])?\s*==\s*[^\s;\\]+|^[^\s#-][^\\]*")


def find_unpinned(root: Path) -> list[Finding]:
    """Return what is not pinned: actions by a commit, images by a digest, packages by a hash."""
    return [*_actions(root), *_images(root), *_packages(root)]


def _actions(root: Path) -> Iterator[Finding]:
    for path in sorted((root / ".github").rglob("*.y*ml")):
        try:
            document = yaml.compose(read_text(path), yaml.SafeLoader)
        except yaml.YAMLError as error:
            raise UserError(f"{path} is not valid YAML: {error}. Restore it: git checkout {path}") from None
        for key, value in _pairs(document):
            where = f"{path.relative_to(root)}:{value.start_mark.line + 1}"
            if key in ("image", "container") and value.value not in BUILT:
                yield from _image(where, value.value.removeprefix("docker://"))
            elif key == "uses" and value.value.startswith("docker://"):
                yield from _image(where, value.value)
            elif key == "uses" and not value.value.startswith("./") and not COMMIT.search(value.value):
                fix = "a tag can be moved to other code. Pin it by its commit, the 40 digits of git ls-remote"
                yield Finding(where, value.value, UNPINNED, f"{fix}, and write the tag as a comment.")


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.ScalarNode]]:
    """Yield the keys of a document that have one value, with it."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(value, yaml.ScalarNode):
                yield str(key.value), value
            yield from _pairs(value)
    elif isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _pairs(one)


def _images(root: Path) -> Iterator[Finding]:
    path = root / "compose.yaml"
    if path.exists():
        try:
            services: dict[str, Any] = yaml.safe_load(read_text(path))["services"]
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise UserError(f"{path} is not a Compose file: {error}. Restore it: git checkout {path}") from None
        built = {service["image"] for service in services.values() if "build" in service and "image" in service}
        for image in sorted({service["image"] for service in services.values() if "image" in service} - built):
            yield from _image("compose.yaml", image)
    for dockerfile in sorted(root.glob("Dockerfile*")):
        yield from _bases(dockerfile)


def _bases(dockerfile: Path) -> Iterator[Finding]:
    values: dict[str, str] = {}
    stages = {"scratch"}
    for number, line in enumerate(read_text(dockerfile).splitlines(), start=1):
        first, *words = line.split() or [""]
        match [first.upper(), *words]:
            case ["ARG", setting] if "=" in setting:
                name, _, values[name] = setting.partition("=")
            case ["FROM" | "COPY" as instruction, *words]:
                sources = [word.removeprefix("--from=") for word in words if word.startswith("--from=")]
                rest = [word for word in words if not word.startswith("--")]
                for image in rest[:1] if instruction == "FROM" else sources:
                    image = re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], found[0]), image)
                    if image not in stages and not image.isdigit():
                        yield from _image(f"{dockerfile.name}:{number}", image)
                stages.update(rest[2:] if instruction == "FROM" else [])


def _image(where: str, image: str) -> Iterator[Finding]:
    if not DIGEST.search(image):
        fix = "a tag can be moved to another image. Pin it by its digest: name:tag@sha256:..."
        yield Finding(where, image, UNPINNED, fix)


def _packages(root: Path) -> Iterator[Finding]:
    for path in sorted(root.glob("requirements*.lock")):
        for line in _joined(read_text(path)):
            if (found := REQUIREMENT.match(line)) and "--hash=sha256:" not in line:
                what = found[0].strip().partition(";")[0].strip()
                yield Finding(path.name, what, UNPINNED, "it has no hash. Run make lock.")


def _joined(text: str) -> list[str]:
    """Return the requirements of a lock, each with its hashes on one line."""
    joined = re.sub(r"\\\n", " ", text)
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]
