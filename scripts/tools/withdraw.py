"""Withdraw a drop that should never have been delivered: it counts no more, here or in any clone.

Removes
    the drop's line in data/drops.yaml, its pointer and its folder in data/raw, and everything made from it
Writes
    .dvcignore: the drop's folders, so that they do not count in a clone that still has them
Keeps
    DVC's cache and remote, and git's history: the drop can be ingested again
"""

import argparse
from pathlib import Path

from churn.base.command import run_command
from churn.base.drops import parse_drop
from churn.deliveries.withdraw import withdraw_drop


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("drop", type=parse_drop, help="the drop's date, YYYY-MM-DD")
    args = parser.parse_args()
    withdraw_drop(args.drop, Path())
    print(
        f"Drop {args.drop} is withdrawn. Next: make run, then git add -A data metrics dvc.lock .dvcignore && git commit"
    )


if __name__ == "__main__":
    run_command(main)
