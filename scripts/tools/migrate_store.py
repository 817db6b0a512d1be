"""Copy an embedded store's runs, versions and ledger to the MLflow server, so that early work is kept.

What the server already has is not copied again, so this can be run twice, or again after a kill. What was deleted in
the store is not copied. Copies have tags: runs and versions their origin in `migrated_from`, versions also their date
of creation in `migrated_created` and their old number in `migrated_version`. A version that is already registered
at the server, with the same identity, is not copied. Versions get the server's next numbers, which the ledger and the
evaluations then use; reasons and model cards are copied unchanged.

The aliases and the ledger are copied only if the server does not have its own Production: all entries of its ledger
come from this store, and its aliases are those set by the last of these entries (none, without an entry) or those of
the store. That is the case for a new server, after an interrupted copy, and after a copy when nothing has happened
since. Otherwise the server's aliases and ledger are kept, and the last lines say so. Nobody should promote meanwhile.

Reads
    the embedded store and its artifacts; the registry at MLFLOW_TRACKING_URI
Writes
    that registry: runs of the experiment with their artifacts, versions of the registered model, its aliases,
    and entries of the ledger
"""

import argparse
import os

from churn.base.addresses import hide_logins
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
        When no server is configured or it does not answer, the store does not exist, or a version's files are missing.
    """
    if not tracking_uri().startswith("http"):
        address = os.environ.get("MLFLOW_TRACKING_URI")
        state = f"is {hide_logins(address)!r}, which is not a server" if address else "is not set"
        raise UserError(
            f"MLFLOW_TRACKING_URI {state}, so there is nowhere to copy to. Run make up first, which starts a server "
            "and writes its address to .env; or set it to http://host:port."
        )
    # MLflow would print a line for each finished run and a progress bar for each file.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    with open_registry() as client:
        migration = Migration(read_store(source), client)
        kept = migration.copy_everything()
    for number, copy in migration.versions.items():
        print(f"version {number} of {source} is version {copy.version} of {hide_logins(tracking_uri())}")
    if kept:
        print(kept)
    print(f"Copied: {describe_counts(migration.copied)}. Already there: {describe_counts(migration.present)}.")


def describe_counts(counts: dict[str, int]) -> str:
    """Return the number of each kind in words."""
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
