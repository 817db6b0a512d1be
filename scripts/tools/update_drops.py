"""Write data/drops.yaml again after an edit by hand; or merge two versions of it, as git's merge driver `drops`.

Writes
    data/drops.yaml: the same drops in order, with what dvc.yaml needs of them; a Snakemake run does that by itself
"""

import argparse
from pathlib import Path

from churn.base.command import run_command
from churn.base.drops import merge_lists, read_list, update_list


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", type=Path, default=Path("data/drops.yaml"), help="the list (data/drops.yaml)")
    parser.add_argument(
        "--merge", type=Path, nargs=3, metavar=("BASE", "OURS", "THEIRS"), help="merge two lists into the second"
    )
    args = parser.parse_args()
    if args.merge:
        merge_lists(*args.merge)
        return
    update_list(args.list)
    print(f"{args.list} lists {len(read_list(args.list)[1])} drops.")


if __name__ == "__main__":
    run_command(main)
