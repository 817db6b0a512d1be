"""Whether a version can score today's users: only if their features mean what it was trained on."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.base.drops import read_list
from churn.base.reading import read_json
from churn.release.meaning import DEMO, Meaning, version_meaning
from churn.release.names import model_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

FEATURES, DROPS = Path("metrics/build_features"), Path("data/drops.yaml")


def is_demos(meaning: Meaning | None, source: str) -> bool:
    """Return whether a version is the demo's, and the drops are not."""
    return meaning is not None and meaning.source == DEMO != source


def other_features(version: "ModelVersion", meaning: Meaning | None, features: dict[str, Any]) -> str:
    """Return in which ways features differ from those of a version; "" if in none, or if that is not known.

    Parameters
    ----------
    version : ModelVersion
    meaning : Meaning or None
        What it means.
    features : dict
        Metrics of build_features of a drop.
    """
    found = meaning.feature_differences(features["lookback_days"], features["feature_digests"]) if meaning else []
    if not found:
        return ""
    return f"version {version.version} was trained on features of another meaning: it has {'; '.join(found)}."


def warn_if_unfit(client: "MlflowClient", number: str) -> list[str]:
    """Return a warning if a version that goes into Production cannot score the newest drop of this folder.

    Parameters
    ----------
    client : MlflowClient
    number : str
        The version.
    """
    source, drops = read_list(DROPS)
    path = FEATURES / f"{drops[-1] if drops else ''}.json"
    if not path.exists():
        return []
    version = client.get_model_version(model_name(), number)
    meaning = version_meaning(client, version)
    if is_demos(meaning, source):
        return [f"WARNING: version {number} is the demo's, so it does not score users of your own."]
    features = read_json(path)
    why = other_features(version, meaning, features) if "feature_digests" in features else ""
    return [f"WARNING: nobody can be scored now: {why} Restore these features before make run."] if why else []
