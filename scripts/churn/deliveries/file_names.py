"""The names of a delivery's files: in any case, packed or not, and what else may be in the folder."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from churn.base.command import UserError
from churn.base.printable import printable
from churn.data.contract import FILES
from churn.deliveries.inbox_layout import READY, REASON

PACKED = ".gz"
# What file managers and editors leave in a folder; .dvcignore has the same patterns, so that DVC does not see them.
LEFTOVERS = (".DS_Store", "Thumbs.db", "desktop.ini", "._*", "*~", ".*.sw?", ".#*", "[#]*[#]", ".~lock.*[#]", "~$*")
ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz")
MAX_LISTED, MAX_NAME = 10, 80


def is_leftover(name: str) -> bool:
    """Return whether a file was left by a file manager or an editor."""
    return any(fnmatchcase(name, pattern) for pattern in LEFTOVERS)


def match_names(found: Iterable[str], patterns: dict[str, str]) -> dict[str, list[str]]:
    """Return the names found for each of the five files, in any case, packed or not.

    Parameters
    ----------
    found : iterable of str
        The names in the folder.
    patterns : dict of str
        `Mapping.names`: the delivered names of the files that have other names.
    """
    found = sorted(name for name in found if name not in (READY, REASON))
    wanted = {name: patterns.get(name, name).casefold().removesuffix(PACKED) for name in FILES}
    bare = {one: one.casefold().removesuffix(PACKED) for one in found}
    return {
        # A name with brackets is not a pattern if there is a file of that name.
        name: [one for one in found if bare[one] == pattern]
        or [one for one in found if fnmatchcase(bare[one], pattern)]
        for name, pattern in wanted.items()
    }


def choose_names(source: Path, found: Iterable[str], patterns: dict[str, str]) -> dict[str, str]:
    """Return the sender's name of each of the five files; see `match_names`.

    Raises
    ------
    UserError
        When a file is missing, or two have its name.
    """
    found = list(found)
    matched = match_names(found, patterns)
    if missing := [name for name, names in matched.items() if not names]:
        raise UserError(explain_missing(source, missing, found))
    for name, names in matched.items():
        if len(names) > 1 and name in patterns:
            raise UserError(
                f"{printable(source)}: {list_names(names)} all match the name {patterns[name]!r} that "
                f"data/mapping.yaml has for {name}. Write a pattern that only one of them matches."
            )
        if len(names) > 1:
            raise UserError(
                f"{printable(source)} has both {' and '.join(map(printable, names))}, which are the same file of a "
                "delivery. Remove one of them."
            )
    chosen = [names[0] for names in matched.values()]
    if twice := [one for one in chosen if chosen.count(one) > 1]:
        raise UserError(
            f"{printable(source)}: {printable(twice[0])} matches the names of two files in data/mapping.yaml. Write "
            "patterns that differ."
        )
    return {name: names[0] for name, names in matched.items()}


def explain_missing(source: Path, missing: list[str], found: Iterable[str]) -> str:
    """Return which files a delivery lacks, which it has instead, and how to fix it."""
    others = sorted(name for name in found if not is_leftover(name))
    parts = [
        f"{printable(source)}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
        f"Found: {list_names(others)}.",
        f"A delivery needs the five files {', '.join(FILES)}, or any of them packed as .csv.gz.",
    ]
    if any(name.casefold().endswith(ARCHIVES) for name in others):
        parts.append("Archives are not unpacked: deliver the CSV files that they contain.")
    elif others:
        parts.append(
            "If the sender uses other names, name them by pattern in data/mapping.yaml: "
            'files: {PAYMENTS.csv: {name: "PAYMENTS_*.csv"}}'
        )
    return " ".join(parts)


def list_names(names: list[str]) -> str:
    """Return names for a message: the first ones, none longer than a line."""
    listed = [printable(name)[:MAX_NAME] for name in names[:MAX_LISTED]]
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return f"{', '.join(listed)}{more}" if names else "no file"
