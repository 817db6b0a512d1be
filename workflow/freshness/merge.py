"""Merge two branches' dvc.lock stage by stage: a merge driver for git.

Each stage is in the file for itself, so branches that ran different stages never conflict. Where both ran the same
stage, the side whose dependencies are those of the merged branch is right; if neither is, the stage is stale.
"""

import hashlib
import os
import re
import shlex
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any

from .folders import folder_hash
from .lock_blocks import HEAD, Blocks, block_of, read_blocks
from .state import command

# What git's settings and .gitattributes call the driver; and one that keeps our side of what a stage makes and git has,
# such as metrics: if that is not what dvc.lock has after the merge, the stage is stale.
DRIVER, KEEP_OURS = "dvc-lock", "dvc-output"
ATTRIBUTES = Path(".gitattributes")
ATTRIBUTE = f"dvc.lock merge={DRIVER}\n"
MARKER = "<<<<<<< "
# How git tells a driver which commit is merged, and how this one knows that it asked git itself.
HEAD_NAME, NESTED = re.compile(r"GITHEAD_[0-9a-f]{40,}"), "FRESHNESS_MERGED_TREE"
# What a pointer says of its data, which comes after the source of an import.
POINTER = re.compile(r"^outs:\n- md5: (\S+)", re.MULTILINE)


class MergedTree:
    """The files of the merged branch, as far as git can merge them; during a rebase or a cherry-pick, none is known.

    Parameters
    ----------
    folder
        The folder that paths are relative to, relative to the root of the git repository.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    @cached_property
    def _tree(self) -> str:
        other = next((name.partition("_")[2] for name in os.environ if HEAD_NAME.fullmatch(name)), "")
        if not other or NESTED in os.environ:
            return ""
        # git calls this driver again, for the same file.
        answer = subprocess.run(
            ["git", "merge-tree", "--write-tree", "HEAD", other],
            env=os.environ | {NESTED: "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return answer.stdout.partition("\n")[0]

    def md5(self, path: str) -> str | None:
        """Return the hash of a file or a folder of git, or of what a pointer tracks; None if it is something else."""
        if not self._tree:
            return None
        path = os.path.normpath(self._folder / path)
        listed = self._git("ls-tree", "-r", "-z", self._tree, "--", path).decode().split("\0")
        names = [entry.partition("\t")[2] for entry in listed if entry]
        if names:
            hashes = {name: hashlib.md5(self._show(name)).hexdigest() for name in names}
            return hashes.get(path) or folder_hash({os.path.relpath(name, path): hashes[name] for name in names})
        pointer = POINTER.search(self._show(f"{path}.dvc").decode(errors="replace"))
        return pointer[1] if pointer else None

    def _show(self, name: str) -> bytes:
        return self._git("show", f"{self._tree}:{name}")

    def _git(self, *arguments: str) -> bytes:
        return subprocess.run(["git", *arguments], capture_output=True, check=False).stdout


def merge_locks(base: Path, ours: Path, theirs: Path, path: Path) -> int:
    """Merge into our version of the dvc.lock at a path; return 0, or the number of conflicts left in it."""
    sides = [read_stages(path) for path in (base, ours, theirs)]
    known = [side for side in sides if side is not None]
    rest = merge_rest(*known) if len(known) == len(sides) else None
    if rest is None:
        return subprocess.run(["git", "merge-file", ours, base, theirs], check=False).returncode
    stages = merge_stages(*(side.stages for side in known), tree=MergedTree(path.parent))
    ours.write_text(Blocks(rest.head, stages, rest.tail).whole([]), encoding="utf-8")
    return 0


def merge_rest(base: Blocks, ours: Blocks, theirs: Blocks) -> Blocks | None:
    """Return what is before and after the stages, such as datasets; None if both sides have changed the same of it."""
    import yaml

    if (ours.head, ours.tail) == (theirs.head, theirs.tail):
        return ours
    sections = [yaml.safe_load(side.head.removesuffix("stages:\n") + side.tail) or {} for side in (base, ours, theirs)]
    merged: dict[str, list[Any]] = {}
    for key in dict.fromkeys(key for section in sections for key in section if key != "schema"):
        versions = [{str(item["name"]): yaml.safe_dump(item) for item in side.get(key) or []} for side in sections]
        names = dict.fromkeys(name for version in versions for name in version)
        chosen = [choose(*(version.get(name, "") for version in versions)) for name in names]
        if None in chosen:
            return None
        merged[key] = [yaml.safe_load(text) for text in chosen if text]
    left = {key: items for key, items in merged.items() if items}
    return Blocks(HEAD, {}, yaml.safe_dump(left, sort_keys=False) if left else "")


def merge_stages(
    base: dict[str, str], ours: dict[str, str], theirs: dict[str, str], *, tree: MergedTree
) -> dict[str, str]:
    """Return the blocks of both sides by name; a stage that only one of them has is where it is there."""
    merged: dict[str, str] = {}
    # Stages that both sides ran.
    contested: dict[str, list[dict[Any, str]]] = {}
    for name in merged_order(list(ours), list(theirs)):
        versions = [side.get(name) for side in (base, ours, theirs)]
        if None not in versions[1:] and len(set(versions)) == len(versions):
            contested[name] = [causes(version) for version in versions]
        block = merge_block(*versions)
        if block is not None:
            merged[name] = block
    # What the winner of one stage made is what the next one reads: each pass decides at least one stage more.
    stale, before = set(contested), None
    while stale != before:
        before = set(stale)
        made = {
            path: md5 for name, block in merged.items() if name not in stale for path, md5 in outputs(block).items()
        }
        for name in before:
            expected = merged_causes(*contested[name], tree=tree, made=made)
            for side, version in (ours, contested[name][1]), (theirs, contested[name][2]):
                if name in stale and version == expected:
                    merged[name] = side[name]
                    stale.remove(name)
    return merged


def merge_block(base: str | None, ours: str | None, theirs: str | None) -> str | None:
    """Return the block of a stage after the merge, ours if both have changed it; None if no record is left."""
    if ours == theirs or theirs == base:
        return ours
    # Removed here, run there: a record too many does no harm.
    return theirs if ours == base else ours or theirs


def merged_causes(
    base: dict[Any, str], ours: dict[Any, str], theirs: dict[Any, str], *, tree: MergedTree, made: dict[str, str]
) -> dict[Any, str | None]:
    """Return what a stage depends on in the merged branch; None for what cannot be known yet."""
    merged = {}
    for key in {*base, *ours, *theirs}:
        value = choose(base.get(key, ""), ours.get(key, ""), theirs.get(key, ""))
        if value is None and key[0] == "deps":
            # Both have changed it, perhaps to what one of them has now.
            value = made.get(key[1]) or tree.md5(key[1])
        if value != "":
            merged[key] = value
    return merged


def causes(block: str | None) -> dict[Any, str]:
    """Return the command, the parameters and the hash of each dependency in a block, as texts."""
    if block is None:
        return {}
    entry = parse(block)
    found: dict[Any, str] = {("cmd",): str(entry.get("cmd"))}
    for dep in entry.get("deps", []):
        found["deps", dep["path"]] = str(dep.get("md5", dep))
    for path, params in entry.get("params", {}).items():
        found |= {("params", path, name): f"= {value!r}" for name, value in params.items()}
    return found


def outputs(block: str) -> dict[str, str]:
    """Return the hash of each output in a block."""
    return {out["path"]: str(out.get("md5", out)) for out in parse(block).get("outs", [])}


def parse(block: str) -> dict[str, Any]:
    """Return what a block says of its stage."""
    import yaml

    (entry,) = yaml.load(block, getattr(yaml, "CSafeLoader", yaml.SafeLoader)).values()
    return dict(entry)


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
    """Return the blocks of a dvc.lock in any layout, None if it is not one."""
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


def install_driver() -> int:
    """Have git use this driver in this clone, and write .gitattributes if it does not name it; return the exit code."""
    # Git replaces %O in the driver, also inside a path.
    own = shlex.join(command("merge")).replace("%", "%%")
    settings = {DRIVER: f"{own} %O %A %B %P", KEEP_OURS: "true"}
    for name, setting in settings.items():
        if code := subprocess.run(["git", "config", f"merge.{name}.driver", setting], check=False).returncode:
            return code
    attributes = ATTRIBUTES.read_text(encoding="utf-8") if ATTRIBUTES.exists() else ""
    if attributes and not attributes.endswith("\n"):
        attributes += "\n"
    if f"merge={DRIVER}" not in attributes:
        ATTRIBUTES.write_text(attributes + ATTRIBUTE, encoding="utf-8")
        print(f"Wrote {ATTRIBUTES.absolute()}; commit it.")
    return 0
