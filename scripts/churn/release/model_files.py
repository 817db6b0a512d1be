"""The SHA-256 of each file of a registered model: the registry keeps them, so that a changed file is noticed.

Who can write to the artifact store, which has the files, need not be able to write to the registry.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from churn.base.command import UserError
from churn.release.names import model_name

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

# On each version since 2026-11-28.
FILES_TAG = "files_sha256"
# Features of the first users, without ids: MLflow does not need them to load a model, and `make erase` removes them.
EXAMPLES = ("input_example.json", "serving_input_example.json")
# With the file that MLflow writes into each copy that it downloads.
NOT_COMPARED = (*EXAMPLES, "registered_model_meta")
# Where Python keeps the compiled code of what it imports, for example when MLflow loads a version from a local folder.
COMPILED = "__pycache__"


class ChangedFilesError(UserError):
    """The files of a version are not those that were registered."""


def hash_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a model's folder, by its path there, but those that may come and go."""
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if not path.is_dir()]
    compared = [name for name in names if COMPILED not in name.parts and name.as_posix() not in NOT_COMPARED]
    return {name.as_posix(): hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in compared}


def files_tag(folder: Path) -> dict[str, str]:
    """Return the tag of a version whose files are in a folder."""
    return {FILES_TAG: json.dumps(hash_files(folder), sort_keys=True)}


def check_files(version: "ModelVersion", folder: Path) -> None:
    """Compare the downloaded files of a version with those that were registered.

    Raises
    ------
    ChangedFilesError
        When one was changed, added or removed.
    """
    text = version.tags.get(FILES_TAG)
    if text is None:
        print(
            f"WARNING: version {version.version} of {model_name()} was registered before the registry kept the SHA-256 "
            "of its files, so nobody knows whether they were changed. Only scorer.onnx is used, and no code from there."
        )
        return
    registered, found = json.loads(text), hash_files(folder)
    names = (registered.keys() | found.keys()) - {*NOT_COMPARED}
    if wrong := sorted(name for name in names if registered.get(name) != found.get(name)):
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ChangedFilesError(
            f"Version {version.version} of {model_name()} was changed in MLflow's artifact store after it was "
            f"registered: {', '.join(wrong[:3])}{more}. Nothing of it is used. Restore the files from a backup (in the "
            "bucket, older versions of an object are kept), or put another version into Production: make rollback or "
            "make promote. Then find out who can write to the store."
        )
