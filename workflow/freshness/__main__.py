"""The commands of the rules, and the answer to "why?". Run them in the folder of the Snakefile."""

import argparse

from .run_stage import run_stage
from .state import exit_with


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m workflow.freshness", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    stage = commands.add_parser("stage", help="bring a stage of dvc.yaml, or a .dvc file, up to date")
    stage.add_argument("name", metavar="NAME", help="as in `dvc stage list --all`: train, clean@a, data/raw/a.csv.dvc")
    release = commands.add_parser("release", help="run a release step's command, then write its receipt")
    release.add_argument("name", metavar="NAME", help="the name given to fresh.release() in the Snakefile")
    release.add_argument("words", nargs=argparse.REMAINDER, metavar="WORD", help="the command and its arguments")
    commands.add_parser("why", help="print every stale step and what changed, as the last Snakemake found it")
    arguments = parser.parse_args()
    if arguments.command == "release" and not arguments.words:
        release.error("the command to run is missing")
    return arguments


def main() -> int:
    """Run the command; return the exit code."""
    arguments = parse_arguments()
    if arguments.command == "stage":
        return run_stage(arguments.name)
    if arguments.command == "release":
        from .release_steps import run_release_step

        return run_release_step(arguments.name, arguments.words)
    from .why import print_stale_steps

    print_stale_steps()
    return 0


if __name__ == "__main__":
    exit_with(main)
