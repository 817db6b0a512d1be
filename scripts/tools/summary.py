"""Print the result of the last run in a few lines, and where to find more.

Reads
    metrics/*.json, reports/release/*.json, data/drops.yaml
Writes
    lines on the terminal
"""

import argparse
from pathlib import Path

from churn.alerts.summary import summarize_run
from churn.base.command import run_command
from churn.storage.forecast import warn_of_full_disk


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(), help="the repository's folder; default: here")
    args = parser.parse_args()
    print("\n".join([*summarize_run(args.root), *warn_of_full_disk(args.root)]))


if __name__ == "__main__":
    run_command(main)
