"""Every place in the repository's folder that may hold rows of users, and what `make erase` does with each.

docs/guides/privacy.md has the same table for readers; a test compares them.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

# To this file each scheduled run appends, after a line of this and the time, in which no number is an id.
SCHEDULE, BEGIN = Path("logs/schedule.log"), "==== "
HEADING = re.compile(rf"{BEGIN}\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d\s*".encode())
# What an erasure does: write the file again without the user; remove the output, which a run makes again; remove.
REWRITE, REBUILD, REMOVE = "rewritten", "removed; the next run makes it again", "removed"


@dataclass(frozen=True)
class Place:
    """A place that may hold rows or ids of users.

    Attributes
    ----------
    name : str
        As in docs/guides/privacy.md.
    patterns : tuple of str
        Of paths from the repository's folder; `*` matches any characters, `/` too.
    erase : str
        REWRITE, REBUILD or REMOVE.
    is_text : bool
        Text for people: the id counts wherever it is a whole word.
    is_opaque : bool
        Cannot be searched: removed with every erasure.
    """

    name: str
    patterns: tuple[str, ...]
    erase: str
    is_text: bool = False
    is_opaque: bool = False


# The first that matches a path counts.
PLACES = (
    Place("left by killed processes", (".writing-*", "*/.writing-*", ".duckdb/*"), REMOVE, is_opaque=True),
    Place("raw drops", ("data/raw/????-??-??/*", "data/raw/.edited-*"), REWRITE),
    Place("cleaned tables and rejected rows", ("data/clean/*",), REBUILD),
    Place("features", ("data/features/*",), REBUILD),
    Place("training and holdout rows", ("data/training/*",), REBUILD),
    Place("samples for drift", ("data/drift/*",), REBUILD),
    Place("scores", ("data/scores/*",), REWRITE),
    Place("DVC's cache", (".dvc/cache/*",), REMOVE),
    Place("DVC's scratch", (".dvc/tmp/*",), REMOVE),
    Place("MLflow's artifacts", ("mlartifacts/*",), REWRITE),
    Place("reasons of rejected deliveries", ("inbox/*/reason.txt*", "inbox/*/.reason.txt*"), REWRITE, is_text=True),
    Place("inbox", ("inbox/*",), REWRITE),
    Place("logs", ("logs/*.log", ".snakemake/log/*.log", ".snakemake/freshness/logs/*"), REWRITE, is_text=True),
    Place(
        "Spark's logs",
        (".stack/logs/spark*", ".stack/spark/events/*", ".stack/spark/worker-*/stdout", ".stack/spark/worker-*/stderr"),
        REWRITE,
        is_text=True,
    ),
    Place("pages", ("reports/pipeline_report.html",), REMOVE, is_opaque=True),
)
# Where the servers keep the same: all versions of each object are searched.
BUCKETS = ("bucket churn-dvc", "bucket mlflow-artifacts")
# What is not searched: code and programs, and the services' own files, whose objects are searched through S3.
SKIPPED = (".git", ".venv", ".tools", "site", ".stack/minio", ".stack/postgres")


def find_place(path: str) -> Place | None:
    """Return the place of a file, by its path from the repository's folder; None for a file that is in none."""
    return next((place for place in PLACES if any(fnmatch(path, one) for one in place.patterns)), None)
