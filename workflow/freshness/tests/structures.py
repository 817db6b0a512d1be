"""Structures of real DVC pipelines, and repositories built from them whose commands are trivial.

Each file in the folder `structures` has the stages, paths, keys and parameters of a public repository, and no command.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from os.path import relpath
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from dvc.stage import PipelineStage

from .small_pipeline import Repository

FOLDER = Path(__file__).with_suffix("")
OUTSIDE = "outside"  # the folder beside a repository from which it imports
MAKE_OUTS = '''
"""Make outputs whose content follows from the content of the dependencies."""
import argparse, hashlib, json, os
from pathlib import Path
root = Path(__file__).resolve().parent
folders = json.loads((root / "folders.json").read_text())
parser = argparse.ArgumentParser()
parser.add_argument("--name", required=True)
parser.add_argument("--deps", nargs="*", default=[])
parser.add_argument("--outs", nargs="*", default=[])
options = parser.parse_args()
def files(path):
    below = path.rglob("[!.]*") if path.is_dir() else [path]
    return sorted(file for file in below if not file.is_dir())
def inside(path):
    return Path(os.path.abspath(path)).relative_to(root).as_posix()
def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"made": text}) + "\\n" if file.suffix == ".json" else f"made: {text}\\n")
digest = hashlib.md5()
for dep in options.deps:
    for file in files(Path(dep)):
        digest.update(f"{inside(file)} {hashlib.md5(file.read_bytes()).hexdigest()}\\n".encode())
if "RAN" in os.environ:
    with open(os.environ["RAN"], "a") as log:
        log.write(f"{inside(options.outs[0]) if options.outs else options.name}\\n")
for out in map(Path, options.outs):
    for file in [out / name for name in folders[inside(out)]] if inside(out) in folders else [out]:
        write(file, hashlib.md5(f"{digest.hexdigest()} {inside(file)}".encode()).hexdigest())
'''
IGNORED_BY_DVC = "__pycache__/\n.snakemake_timestamp\n"


@dataclass(frozen=True)
class Structure:
    """What is known of a repository; paths are relative to its root."""

    source: str
    definitions: dict[str, dict[str, Any]]  # path of a dvc.yaml -> its content, without commands
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)  # path of a parameter file -> its content
    pointers: list[str] = field(default_factory=list)  # tracked with `dvc add`; folders end with a slash
    imports: list[str] = field(default_factory=list)  # came by `dvc import-url`; the same
    folders: list[str] = field(default_factory=list)  # patterns of folders whose name looks like a file's
    files: list[str] = field(default_factory=list)  # patterns of files without a suffix

    def is_folder(self, path: str) -> bool:
        """Return whether a path is a folder; what has no suffix is one, if nothing else is said."""
        if f"{path}/" in [*self.pointers, *self.imports] or any(fnmatch(path, pattern) for pattern in self.folders):
            return True
        listed = path in [*self.pointers, *self.imports] or any(fnmatch(path, pattern) for pattern in self.files)
        return not listed and not PurePosixPath(path).suffix


@dataclass(frozen=True)
class Paths:
    """The paths in the stages of a repository after DVC has resolved them, relative to its root."""

    deps: set[str]
    outs: dict[str, bool]  # path of an output -> whether DVC caches it
    to_root: dict[tuple[str, str], str]  # dvc.yaml and stage or group -> the root, seen from its working directory


def names() -> list[str]:
    """Return the names of all structures."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str) -> Structure:
    """Read a structure by its name."""
    return Structure(**yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))


def build(structure: Structure, repository: Repository) -> None:
    """Make a repository of git and DVC with this structure, ready for `dvc repro`, and commit it."""
    files = {path: yaml.safe_dump(content, sort_keys=False) for path, content in structure.parameters.items()}
    files |= {"make_outs.py": MAKE_OUTS, ".dvcignore": IGNORED_BY_DVC, **_definitions(structure, {})}
    repository.create(files, track=())
    paths = _resolve(repository.folder)
    for source in _sources(structure, paths):
        _create(repository.path(source), source, structure.is_folder(source))
    made = {out: [f"{part}.txt" for part in "ab"] for out in paths.outs if structure.is_folder(out)}
    for out, names_inside in made.items():
        names_inside += sorted(_below(out, paths.deps - paths.outs.keys()))
    repository.write("folders.json", json.dumps(made, indent=1))
    tracked = [path.rstrip("/") for path in [*structure.pointers, *structure.imports]]
    ignored = sorted(f"/{path}" for path in [*tracked, *(out for out, is_cached in paths.outs.items() if is_cached)])
    repository.write(".gitignore", "\n".join([".snakemake", "__pycache__", *ignored, ""]))
    if structure.pointers:
        repository.command("dvc", "add", "--quiet", *tracked[: len(structure.pointers)])
    _import(repository, tracked[len(structure.pointers) :])
    definitions = _definitions(structure, paths.to_root)
    _run_frozen(structure, repository, definitions)
    for path, text in definitions.items():
        repository.write(path, text)
    repository.commit("All")


def _run_frozen(structure: Structure, repository: Repository, definitions: dict[str, str]) -> None:
    """Run the frozen stages and what they need: nothing runs a frozen stage, so it must have run before."""
    frozen = [
        f"{path}:{name}"
        for path, content in structure.definitions.items()
        for name, stage in content["stages"].items()
        if stage.get("do", stage).get("frozen")
    ]
    if frozen:
        for path, text in definitions.items():
            repository.write(path, re.sub(r"^ +frozen: true\n", "", text, flags=re.MULTILINE))
        repository.command("dvc", "repro", "--quiet", *frozen)
        repository.log.unlink(missing_ok=True)


def _resolve(folder: Path) -> Paths:
    found, root = Paths(set(), {}, {}), folder.resolve()
    with Repo(folder) as repo:
        for stage in repo.index.stages:
            if isinstance(stage, PipelineStage):
                group = stage.name.partition("@")[0]
                found.to_root[Path(stage.path).relative_to(root).as_posix(), group] = relpath(root, stage.wdir)
            deps = [dep for dep in stage.deps if not isinstance(dep, ParamsDependency)]
            found.deps.update(Path(dep.fs_path).relative_to(root).as_posix() for dep in deps)
            found.outs.update({Path(out.fs_path).relative_to(root).as_posix(): out.use_cache for out in stage.outs})
    return found


def _definitions(structure: Structure, to_root: dict[tuple[str, str], str]) -> dict[str, str]:
    """Return the text of each dvc.yaml, with a command in each stage."""
    texts = {}
    for path, content in structure.definitions.items():
        stages = {}
        for name, stage in content["stages"].items():
            command = _command(stage.get("do", stage), f"{path}:{name}", to_root.get((path, name), "."))
            stages[name] = stage | ({"do": stage["do"] | command} if "do" in stage else command)
        texts[path] = yaml.safe_dump(content | {"stages": stages}, sort_keys=False, width=1000)
    return texts


def _command(stage: dict[str, Any], name: str, to_root: str) -> dict[str, str]:
    entries = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    outs = [out if isinstance(out, str) else next(iter(out)) for out in entries]
    parts = ["python", f"{to_root}/make_outs.py", "--name", f'"{name}"']
    for option, paths in {"--deps": stage.get("deps", []), "--outs": outs}.items():
        parts += [option, *(f'"{path}"' for path in paths)] if paths else []
    return {"cmd": " ".join(parts)}


def _sources(structure: Structure, paths: Paths) -> Iterator[str]:
    """Yield what must exist before the first stage: the pointers, the imports, and dependencies that no stage makes."""
    yield from (path.rstrip("/") for path in [*structure.pointers, *structure.imports])
    for dep in sorted(paths.deps):
        is_made = dep in paths.outs or any(_below(out, [dep]) for out in paths.outs)
        if not is_made and not any(_below(dep, paths.outs)):
            yield dep


def _below(folder: str, paths: Iterable[str]) -> list[str]:
    """Return the paths below a folder, relative to it."""
    return [path.removeprefix(f"{folder}/") for path in paths if path.startswith(f"{folder}/")]


def _create(path: Path, name: str, is_folder: bool) -> None:
    for file in [path / "a.txt", path / "b.txt"] if is_folder else [path]:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.write_text(f"source: {name} {file.name}\n")


def _import(repository: Repository, paths: list[str]) -> None:
    """Move sources out of the repository, and import them; DVC takes a path relative to the pointer."""
    with Repo(repository.folder) as repo:
        for path in map(repository.path, paths):
            outside = repository.folder.parent / OUTSIDE / path.relative_to(repository.folder)
            outside.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, outside)
            repo.imp_url(relpath(outside, path.parent), str(path))
