"""Whether Production is still what the last run left, as Snakemake asks at the start of each run."""

from functools import cache
from pathlib import Path

from churn.base.command import UserError
from churn.base.reading import read_json
from churn.release.lookup import read_aliases
from churn.release.registry import HOLD_ALIAS, PRODUCTION


def production_moved(promotion: Path, evaluation: Path) -> str:
    """Return how the registry differs from what the last run left; "" if it does not, or does not answer.

    Parameters
    ----------
    promotion : Path
        Receipt of promote_model.
    evaluation : Path
        The evaluation.json of evaluate_candidate.

    A receipt that cannot be read counts as a difference: the step writes it again.
    """
    try:
        return _differs(promotion, evaluation)
    except UserError as error:
        return str(error)


def _differs(promotion: Path, evaluation: Path) -> str:
    aliases = _read_once()
    if aliases is None:
        return ""
    now = aliases.get(PRODUCTION)
    if promotion.exists():
        left = read_json(promotion)
        if now != left["production_version"]:
            return f"Production was {_name(left['production_version'])} and is {_name(now)}"
        held = HOLD_ALIAS in aliases
        # A receipt of before 2026-11-27 says nothing of holds; there were none.
        if held != left.get("held", False):
            return "promotions are held" if held else "promotions are no longer held"
    if evaluation.exists():
        content = read_json(evaluation)
        compared = content["production"] and content["production"]["version"]
        # After a promotion, the candidate itself is in Production.
        if now not in (compared, content["candidate"]["version"]):
            return f"the candidate was compared with {_name(compared)}, and Production is {_name(now)}"
    return ""


def scores_outdated(receipt: Path, version: str = "") -> str:
    """Return why a drop's scores no longer count: other scores are due, or they are gone; "" if they do.

    Parameters
    ----------
    receipt : Path
        Receipt of score_users.
    version : str
        The version that must have scored; "" for Production.
    """
    if not receipt.exists():
        return ""
    try:
        left, aliases = read_json(receipt), _read_once()
    except UserError as error:
        return str(error)
    if gone := [path for path in left["files"] if not Path(path).exists()]:
        return f"{gone[0]} is gone"
    now = left["production_version"] if aliases is None else aliases.get(PRODUCTION)
    if not version and now != left["production_version"]:
        return f"Production was {_name(left['production_version'])} and is {_name(now)}"
    return ""


def _name(version: str | None) -> str:
    return f"version {version}" if version else "no version"


@cache
def _read_once() -> dict[str, str] | None:
    return read_aliases()
