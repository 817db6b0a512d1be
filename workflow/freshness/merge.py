"""Merge two branches' dvc.lock stage by stage: a merge driver for git.

Each stage is in the file for itself, so branches that ran different stages never conflict. Where both ran the same
stage, the side whose dependencies are those of the merged branch is right; if neither is, the stage is stale.
"""

import shlex
import subprocess
from pathlib import Path
from typing import Any

from .lock_blocks import HEAD, Blocks, block_of, read_blocks
from .state import command

# What git's settings and .gitattributes call the driver; and one that keeps our side of what a stage makes and git has,
# such as metrics: if that is not what dvc.lock has after the merge, the stage is stale.
DRIVER, KEEP_OURS = "dvc-lock", "dvc-output"
ATTRIBUTES = Path(".gitattributes")
ATTRIBUTE = f"dvc.lock merge={DRIVER}\n"
MARKER = "<<<<<<< "


def merge_locks(base: Path, ours: Path, theirs: Path) -> int:
    """Merge into our file; return 0, or git's number of conflicts where a side is not a dvc.lock."""
    sides = [read_stages(path) for path in (base, ours, theirs)]
    if None in sides:
        return subprocess.run(["git", "merge-file", ours, base, theirs], check=False).returncode
    ours.write_text(merge_blocks(*[side for side in sides if side is not None]).whole([]), encoding="utf-8")
    return 0


def merge_blocks(base: Blocks, ours: Blocks, theirs: Blocks) -> Blocks:
    """Return the blocks of both sides; a stage that only one of them has is where it is there."""
    merged: dict[str, str] = {}
    for name in merged_order(list(ours.stages), list(theirs.stages)):
        block = merge_block(*(side.stages.get(name) for side in (base, ours, theirs)))
        if block is not None:
            merged[name] = block
    tail = choose(base.tail, ours.tail, theirs.tail)
    return Blocks(ours.head or HEAD, merged, ours.tail if tail is None else tail)


def merge_block(base: str | None, ours: str | None, theirs: str | None) -> str | None:
    """Return the block of a stage after the merge, None if there is none."""
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    if ours is None or theirs is None:
        # Removed here, run there: a record too many does no harm.
        return ours or theirs
    expected = merged_causes(*(causes(block) for block in (base, ours, theirs)))
    return theirs if causes(ours) != expected and causes(theirs) == expected else ours


def merged_causes(base: dict[Any, str], ours: dict[Any, str], theirs: dict[Any, str]) -> dict[Any, str | None]:
    """Return what a stage depends on in the merged branch; None for what both sides have changed."""
    keys = {*base, *ours, *theirs}
    merged = {key: choose(base.get(key, ""), ours.get(key, ""), theirs.get(key, "")) for key in keys}
    return {key: value for key, value in merged.items() if value != ""}


def causes(block: str | None) -> dict[Any, str]:
    """Return the command, the parameters and the hash of each dependency in a block, as texts."""
    import yaml

    if block is None:
        return {}
    (entry,) = yaml.load(block, getattr(yaml, "CSafeLoader", yaml.SafeLoader)).values()
    found: dict[Any, str] = {("cmd",): str(entry.get("cmd"))}
    for dep in entry.get("deps", []):
        found["deps", dep["path"]] = str(dep)
    for path, params in entry.get("params", {}).items():
        found |= {("params", path, name): f"= {value!r}" for name, value in params.items()}
    return found


def choose(base: str, ours: str, theirs: str) -> str | None:
    """Return a value after the merge, None if both sides have changed it."""
    if ours == theirs or theirs == base:
        return ours
    return theirs if ours == base else None


def merged_order(ours: list[str], theirs: list[str]) -> list[str]:
    """Return all names: ours in their order, and each that is only theirs after the one that it follows there."""
    order = list(ours)
    known = set(ours)
    for before, name in zip(["", *theirs], theirs, strict=False):
        if name not in known:
            order.insert(order.index(before) + 1 if before else 0, name)
            known.add(name)
    return order


def read_stages(path: Path) -> Blocks | None:
    """Return the blocks of a dvc.lock in any layout, None if it is none."""
    import yaml

    blocks = read_blocks(path)
    if blocks is not None:
        return blocks
    text = path.read_text(encoding="utf-8")
    try:
        content = yaml.safe_load(text) or {}
        stages = {name: block_of(name, entry) for name, entry in (content.get("stages") or {}).items()}
    except (yaml.YAMLError, AttributeError):
        return None
    rest = {key: value for key, value in content.items() if key not in ("schema", "stages")}
    return Blocks(HEAD, stages, yaml.safe_dump(rest, sort_keys=False) if rest else "")


def install_driver() -> None:
    """Have git use this driver in this clone, and write .gitattributes, which is committed, if it does not name it."""
    settings = {DRIVER: f"{shlex.join(command('merge'))} %O %A %B", KEEP_OURS: "true"}
    for name, setting in settings.items():
        subprocess.run(["git", "config", f"merge.{name}.driver", setting], check=True)
    attributes = ATTRIBUTES.read_text(encoding="utf-8") if ATTRIBUTES.exists() else ""
    if f"merge={DRIVER}" not in attributes:
        ATTRIBUTES.write_text(attributes + ATTRIBUTE, encoding="utf-8")
