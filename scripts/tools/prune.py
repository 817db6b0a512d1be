"""Drop from this clone what only older weeks need, after checking that the DVC remote holds every byte of it.

Reads
    data/drops.yaml, metrics/clean_payments/, dvc.lock, the pointers; the bucket churn-dvc
Removes
    data/raw, data/clean, data/features and data/drift of drops older than the newest KEEP, unless the training set
    reads them; the same in DVC's cache. Git and the remote keep everything: `make pull DROP=<date>` gets a drop back
"""

import argparse

from churn.base.command import UserError, run_command
from churn.storage.prune import prune


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("keep", type=int, help="number of drops to keep whole, the newest")
    args = parser.parse_args()
    if args.keep < 1:
        raise UserError(f"KEEP is {args.keep}, but must be at least 1: the newest drop is needed to score its users.")
    done = prune(args.keep)
    if not done.folders:
        print("Nothing to drop: everything here is of the newest drops, or the training set reads it.")
        return
    print(
        f"Dropped {len(done.folders)} folders of {done.drops} drops ({done.size / 1e6:,.1f} MB). The remote holds them."
    )
    print("To get a drop back: make pull DROP=<date>")


if __name__ == "__main__":
    run_command(main)
