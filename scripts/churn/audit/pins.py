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
USES = re.compile(r"^\s*(?:-\s*)?uses:\s*['\"]?([^\s'\"#]+)")
REQUIREMENT = re.compile(r"^[A-Za-z0-9][\w.-]*(?:\[[^\]]*\])?\s*==\s*[^\s;\\]+|^[^\s#-][^\\]*")


def find_unpinned(root: Path) -> list[Finding]:
    """Return what is not pinned: actions by a commit, images by a digest, packages by a hash."""
    return [*_actions(root), *_images(root), *_packages(root)]


def _actions(root: Path) -> Iterator[Finding]:
    for path in sorted((root / ".github").rglob("*.y*ml")):
        for number, line in enumerate(read_text(path).splitlines(), start=1):
            if not (found := USES.match(line)) or found[1].startswith("./"):
                continue
            pattern, by = (DIGEST, "digest") if found[1].startswith("docker://") else (COMMIT, "commit")
            if not pattern.search(found[1]):
                fix = (
                    f"a tag can be moved to other code. Pin it by its {by}: the 40 digits of git ls-remote, and the tag"
                )
                yield Finding(f"{path.relative_to(root)}:{number}", found[1], UNPINNED, f"{fix} as a comment.")


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
        match line.split():
            case ["ARG", setting] if "=" in setting:
                name, _, values[name] = setting.partition("=")
            case ["FROM", *words]:
                image, *rest = [word for word in words if not word.startswith("--")]
                image = re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], found[0]), image)
                if image not in stages:
                    yield from _image(f"{dockerfile.name}:{number}", image)
                stages.update(rest[1:])


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
