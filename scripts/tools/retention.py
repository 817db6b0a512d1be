"""Remove what is older than section `retention` of params.yaml allows, from this clone and the inbox.

Reads
    params.yaml, data/drops.yaml
Removes
    rejected rows of old drops, here and in DVC's cache; scores of old drops; deliveries in the inbox's .done/; logs
"""

import argparse
from datetime import datetime
from pathlib import Path

from churn.base.command import run_command
from churn.base.params import read_params
from churn.privacy.retention import apply_retention


def main() -> None:
    """Read the command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    removed = apply_retention(read_params(Path("params.yaml")), datetime.now().astimezone(), Path())
    for line in removed:
        print(f"Removed: {line}.")
    if not removed:
        print("Nothing is older than params.yaml allows.")


if __name__ == "__main__":
    run_command(main)
