"""Findings, and those that the team has accepted for a time."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from churn.base.params import SCHEMAS, read_validated

ACCEPTED = Path("accepted-findings.yaml")


@dataclass(frozen=True, order=True)
class Finding:
    """A dependency that is not as it should be.

    Attributes
    ----------
    where : str
        The file, and for a line of it the number.
    what : str
        The package, action or image, with its version.
    id : str
        The advisory, or the kind of the finding: it is accepted by this name.
    text : str
        What is wrong, and how to fix it.
    other_ids : tuple of str
        Other names of the same advisory.
    """

    where: str
    what: str
    id: str
    text: str
    other_ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: {self.id}: {self.text}"


def split_accepted(findings: list[Finding], path: Path, today: date) -> tuple[list[Finding], list[str]]:
    """Return the findings that count, and notes about those that are accepted.

    Parameters
    ----------
    findings : list of Finding
        All findings.
    path : Path
        The accepted findings, a list with id, what, why and until; there may be no such file.
    today : date
        An acceptance holds up to the day `until`, and no longer.

    Raises
    ------
    UserError
        When the file breaks its schema.
    """
    accepted: list[dict[str, Any]] = read_validated(path, SCHEMAS / "accepted.schema.yaml") if path.exists() else []
    counts, notes, used = [], [], set()
    for finding in sorted(findings):
        number = next((number for number, one in enumerate(accepted) if _covers(one, finding)), None)
        if number is None:
            counts.append(finding)
            continue
        used.add(number)
        one = accepted[number]
        if date.fromisoformat(str(one["until"])) < today:
            notes.append(f"{path}: the acceptance of {one['id']} for {one['what']} ended on {one['until']}.")
            counts.append(finding)
        else:
            notes.append(f"accepted until {one['until']}: {finding.what}: {finding.id}: {one['why']}")
    for number, one in enumerate(accepted):
        if number not in used:
            notes.append(f"{path}: {one['id']} for {one['what']} was not found any more; remove it.")
    return counts, notes


def _covers(accepted: dict[str, Any], finding: Finding) -> bool:
    return accepted["id"] in (finding.id, *finding.other_ids) and accepted["what"] == finding.what
