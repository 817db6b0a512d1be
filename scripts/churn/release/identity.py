"""A version's identity: a digest of everything stored in it, so that each change can be released.

Two versions of one candidate differ if its threshold, its meaning or the code around its scorer (mlflow_model.py) does.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from churn.base.reading import read_json
from churn.release.candidate import CANDIDATE, METRICS
from churn.release.meaning import MEANING_TAG, candidate_meaning
from churn.release.provenance import output_digest
from churn.release.registry import DIGEST_TAG

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

IDENTITY_TAG = "identity"
MODEL_FILE = Path(__file__).with_name("mlflow_model.py")


@dataclass(frozen=True)
class Identity:
    """What makes a version this version and no other.

    Attributes
    ----------
    digest : str
        DVC's hash of the candidate.
    identity : str
        The digest of the candidate, the MLflow model's file, the threshold and the meaning.
    meaning : str
        What the candidate means, as a tag.
    """

    digest: str
    identity: str
    meaning: str

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the candidate's run and version."""
        return {DIGEST_TAG: self.digest, IDENTITY_TAG: self.identity, MEANING_TAG: self.meaning}


def read_identity() -> Identity:
    """Return the identity of the candidate on disk.

    Raises
    ------
    UserError
        When the stages have not run.
    """
    digest, trained = output_digest(str(CANDIDATE)), METRICS / "train_model.json"
    meaning = candidate_meaning(METRICS / "build_training_set.json", trained).to_json()
    threshold = read_json(trained)["threshold"]
    parts = [digest, hashlib.sha256(MODEL_FILE.read_bytes()).hexdigest(), threshold, meaning]
    return Identity(digest, hashlib.sha256(json.dumps(parts).encode()).hexdigest(), meaning)


def choose_version(versions: "Iterable[ModelVersion]", tags: dict[str, str]) -> "ModelVersion | None":
    """Return the first version with the identity in some tags.

    If there is none, or the tags have no identity, the candidate's digest decides between versions of which one has no
    identity: versions of before 2026-11-28 do not.
    """
    found, digest, identity = list(versions), tags.get(DIGEST_TAG), tags.get(IDENTITY_TAG)
    if identity and (same := [one for one in found if one.tags.get(IDENTITY_TAG) == identity]):
        return same[0]
    old = [one for one in found if digest and one.tags.get(DIGEST_TAG) == digest]
    return next((one for one in old if not identity or IDENTITY_TAG not in one.tags), None)
