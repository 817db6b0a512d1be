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
# What is in the files of a place. Tables of the pipeline: users are in a column of ids. Texts: the id counts wherever
# it is a whole word. Delivered files may be anything: one that is no table we know is searched as a text, and one that
# cannot be read stops the command. Of unknown files, only tables are searched: code and notes are not ours to cut.
TABLES, TEXT, DELIVERED, UNKNOWN = "tables", "text", "delivered", "unknown"


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
    form : str
        TABLES, TEXT, DELIVERED or UNKNOWN.
    is_opaque : bool
        Cannot be searched: removed with every erasure.
    """

    name: str
    patterns: tuple[str, ...]
    erase: str
    form: str = TABLES
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
    # With the code of queued experiments.
    Place("DVC's scratch", (".dvc/tmp/*",), REMOVE, UNKNOWN),
    Place("MLflow's artifacts", ("mlartifacts/*",), REWRITE),
    Place("reasons of rejected deliveries", ("inbox/*/reason.txt*", "inbox/*/.reason.txt*"), REWRITE, TEXT),
    Place("inbox", ("inbox/*",), REWRITE, DELIVERED),
    Place("logs", ("logs/*.log", ".snakemake/log/*.log", ".snakemake/freshness/logs/*"), REWRITE, TEXT),
    # Spark names what it has rolled stderr--2026-11-28--12-00-00-0.
    Place("servers' logs", (".stack/logs/*", ".stack/spark/events/*", ".stack/spark/worker-*/std*"), REWRITE, TEXT),
    Place("pages", ("reports/pipeline_report.html",), REMOVE, is_opaque=True),
)
# Where the servers keep the same: all versions of each object are searched.
BUCKETS = ("bucket churn-dvc", "bucket mlflow-artifacts")
# What is not searched: code and programs, and the services' own files, whose objects are searched through S3.
SKIPPED = (".git", ".venv", ".tools", "site", ".stack/minio", ".stack/postgres")
# Caches of programs, in any folder.
CACHES = ("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".ipynb_checkpoints")


def find_place(path: str) -> Place | None:
    """Return the place of a file, by its path from the repository's folder; None for a file that is in none."""
    return next((place for place in PLACES if any(fnmatch(path, one) for one in place.patterns)), None)


def has_places(folder: str) -> bool:
    """Return whether a folder is a place or has places in it, by its path from the repository's folder."""
    below = f"{folder}/"
    return find_place(below) is not None or any(one.startswith(below) for place in PLACES for one in place.patterns)
