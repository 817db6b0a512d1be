"""Write data/drops.yaml again after an edit by hand; or merge two versions of it, as git's merge driver `drops`.

Writes
    data/drops.yaml: the same drops in order, with what dvc.yaml needs of them; a Snakemake run does that by itself
    with --install, git's setting merge.drops.driver in this clone
"""

import argparse
import shlex
import sys
from pathlib import Path

from churn.base.command import run_command
from churn.base.drops import merge_lists, read_list, update_list
from churn.base.git import read_git

SCRIPTS = Path(__file__).resolve().parents[1]


def install_driver() -> None:
    """Have git merge data/drops.yaml in this clone by this command, whatever characters the clone's path has."""
    command = shlex.join([sys.executable, str(SCRIPTS), "update_drops", "--merge"])
    # Git replaces %O in the driver, also inside a path.
    read_git("config", "merge.drops.driver", f"{command.replace('%', '%%')} %O %A %B")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", type=Path, default=Path("data/drops.yaml"), help="the list (data/drops.yaml)")
    parser.add_argument(
        "--merge", type=Path, nargs=3, metavar=("BASE", "OURS", "THEIRS"), help="merge two lists into the second"
    )
    parser.add_argument("--install", action="store_true", help="have git in this clone use it")
    args = parser.parse_args()
    if args.install:
        install_driver()
        return
    if args.merge:
        merge_lists(*args.merge)
        return
    update_list(args.list)
    print(f"{args.list} lists {len(read_list(args.list)[1])} drops.")


if __name__ == "__main__":
    run_command(main)
