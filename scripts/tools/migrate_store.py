"""Copy an embedded store's runs, versions and ledger to the MLflow server, so that what the first days made is kept.

Whatever is there already is not copied again, so that this can be run twice, or again after a kill; nothing that was
deleted in the store is copied. A run and a version name their origin in the tag `migrated_from`, and a version when it
was made in `migrated_created` and its number then in `migrated_version`; a version whose candidate the server has
registered itself is that version. Versions get the server's next numbers; the ledger and the evaluations name them by
these, while reasons and model cards stay as they were written.

The aliases and the ledger are copied as long as the server has no Production of its own: its ledger holds nothing but
entries of this store, and its aliases are those that the last of these has set (none, without an entry) or those of the
store. That is so of a new server, of one to which this store was copied half-way, and of one where nothing has happened
since. Otherwise what the server has stays, and the last lines say so. Nobody should promote meanwhile.

Reads
    the embedded store and its artifacts; the registry at MLFLOW_TRACKING_URI
Writes
    there: runs of the experiment churn_retention with their artifacts, versions of churn-model, its aliases, and
    entries of the ledger
"""

import argparse
import os

from churn.base.command import UserError, run_command
from churn.release.local_store import read_store
from churn.release.migration import Migration
from churn.release.registry import SQLITE, open_registry, tracking_uri

KINDS = ("runs", "versions", "aliases", "ledger entries")


def migrate_store(source: str) -> None:
    """Copy a store to the server that MLFLOW_TRACKING_URI names.

    Parameters
    ----------
    source : str
        The store's address, like sqlite:///mlflow.db.

    Raises
    ------
    UserError
        When no server is named or it does not answer, the store is not there, or the files of a version are lost.
    """
    if not tracking_uri().startswith("http"):
        told = os.environ.get("MLFLOW_TRACKING_URI")
        state = f"is {told!r}, which is no server" if told else "is not set"
        raise UserError(
            f"MLFLOW_TRACKING_URI {state}, so there is nowhere to copy to. Run make up first, which starts a server "
            "and names it in .env; or set it to http://host:port."
        )
    # A line for each run that ends and a bar for each file help nobody here.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    with open_registry() as client:
        migration = Migration(read_store(source), client)
        kept = migration.copy_everything()
    for number, copy in migration.versions.items():
        print(f"version {number} of {source} is version {copy.version} of {tracking_uri()}")
    if kept:
        print(kept)
    print(f"Copied: {tell_counts(migration.copied)}. There already: {tell_counts(migration.present)}.")


def tell_counts(counts: dict[str, int]) -> str:
    """Tell how many of each kind."""
    return ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if kind in counts) or "nothing"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--source", default=f"{SQLITE}mlflow.db", help="the embedded store (default: sqlite:///mlflow.db)"
    )
    migrate_store(parser.parse_args().source)


if __name__ == "__main__":
    run_command(main)
